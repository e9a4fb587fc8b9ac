//! Computes as rows of a table: as the reference's `get` shows them, and as kubectl does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use unicode_width::UnicodeWidthStr as _;

use crate::api::identifier::TYPE;
use crate::api::listed::Listed;
use crate::api::names::VERSION_SHOWN;
use crate::api::status::AggregateStatus;
use crate::decide::fault::Category;
use crate::view::page::fold;
use crate::view::table::{Column, Table, shown};
use crate::view::time::age;

/// What a column shows of a Compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the titles say it
pub enum Field {
    Name,
    Version,
    Type,
    Workspace,
    Status,
    Runtime,
    Owner,
    Tags,
    Stage,
    Reason,
    Nodes,
    Users,
    Age,
    Updated,
    Purpose,
    Resources,
    Ready,
    Message,
    Selector,
}

/// What `dataos-ctl get` shows.
pub const REFERENCE: [Field; 7] =
    [Field::Name, Field::Version, Field::Type, Field::Workspace, Field::Status, Field::Runtime, Field::Owner];

/// What its `--output wide` adds.
pub const REFERENCE_WIDE: [Field; 6] =
    [Field::Stage, Field::Reason, Field::Nodes, Field::Users, Field::Age, Field::Updated];

/// What `kubectl get computes` shows: the columns of the CRD.
pub const KUBECTL: [Field; 8] = [
    Field::Name,
    Field::Purpose,
    Field::Status,
    Field::Stage,
    Field::Nodes,
    Field::Resources,
    Field::Owner,
    Field::Age,
];

/// What its `-o wide` adds.
pub const KUBECTL_WIDE: [Field; 4] = [Field::Ready, Field::Reason, Field::Message, Field::Selector];

impl Field {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Name,
        Self::Version,
        Self::Type,
        Self::Workspace,
        Self::Status,
        Self::Runtime,
        Self::Owner,
        Self::Tags,
        Self::Stage,
        Self::Reason,
        Self::Nodes,
        Self::Users,
        Self::Age,
        Self::Updated,
        Self::Purpose,
        Self::Resources,
        Self::Ready,
        Self::Message,
        Self::Selector,
    ];

    /// What its header says.
    pub fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Version => "VERSION",
            Self::Type => "TYPE",
            Self::Workspace => "WORKSPACE",
            Self::Status => "STATUS",
            Self::Runtime => "RUNTIME",
            Self::Owner => "OWNER",
            Self::Tags => "TAGS",
            Self::Stage => "STAGE",
            Self::Reason => "REASON",
            Self::Nodes => "NODES",
            Self::Users => "USERS",
            Self::Age => "AGE",
            Self::Updated => "UPDATED",
            Self::Purpose => "PURPOSE",
            Self::Resources => "RESOURCES",
            Self::Ready => "READY",
            Self::Message => "MESSAGE",
            Self::Selector => "SELECTOR",
        }
    }

    fn column(self) -> Column {
        let title = self.title();
        match self {
            // The reference's own is 17, with the blank that stands before the first column.
            Self::Name => Column::new(title, 16),
            Self::Type => Column::centred(title, 15),
            Self::Workspace => Column::centred(title, 9),
            Self::Owner => Column::new(title, 12),
            Self::Message | Self::Selector => Column::elastic(title),
            _ => Column::new(title, 0),
        }
    }

    /// Whether what it shows changes with time alone.
    fn drifts(self) -> bool {
        matches!(self, Self::Age | Self::Updated)
    }

    fn of(self, compute: &Listed, now: Timestamp) -> String {
        let status = &compute.status;
        let ago = |then: &Option<Time>| then.as_ref().map(|then| age(then.0, now)).unwrap_or_default();
        let ready = compute.ready();
        match self {
            Self::Name => compute.metadata.name.clone(),
            Self::Version => VERSION_SHOWN.to_owned(),
            Self::Type => TYPE.to_owned(),
            // A Compute is in no workspace, and has no runtime.
            Self::Workspace | Self::Runtime => String::new(),
            Self::Status => status.aggregate_status.clone(),
            Self::Owner => compute.spec.owner.clone(),
            Self::Tags => compute.spec.tags.join(","),
            Self::Stage => status.builder_state.stage.clone(),
            Self::Reason => ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            Self::Nodes => status.nodes.summary.clone(),
            Self::Users => format!("{}/{}", status.users.pods, status.users.workloads),
            Self::Age => ago(&compute.metadata.creation_timestamp),
            Self::Updated => ago(&status.builder_state.since),
            Self::Purpose => compute.spec.purpose.clone(),
            Self::Resources => status.builder_state.summary.clone(),
            Self::Ready => ready.map(|ready| ready.status.clone()).unwrap_or_default(),
            Self::Message => ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            Self::Selector => match &compute.spec.node_pool.node_selector {
                selector if selector.is_empty() => String::new(),
                // As kubectl shows a map.
                selector => serde_json::to_string(selector).unwrap_or_default(),
            },
        }
    }
}

/// Computes as rows of these columns.
pub fn table(fields: &[Field], computes: &[&Listed], now: Timestamp) -> Table {
    Table {
        columns: fields.iter().map(|field| field.column()).collect(),
        rows: computes.iter().map(|compute| row(fields, compute, now)).collect(),
    }
}

/// A Compute as a row.
pub fn row(fields: &[Field], compute: &Listed, now: Timestamp) -> Vec<String> {
    fields.iter().map(|field| field.of(compute, now)).collect()
}

/// What a row shows that does not change with time alone: rows of which this is the same tell no news.
pub fn lasting(fields: &[Field], compute: &Listed) -> Vec<String> {
    let lasting = fields.iter().filter(|field| !field.drifts());
    lasting.map(|field| field.of(compute, Timestamp::UNIX_EPOCH)).collect()
}

/// Under the row of a Compute that is in error: why, what heals it, and the command that tells more.
pub fn why(compute: &Listed, more: &str) -> Option<String> {
    if compute.status.aggregate_status != AggregateStatus::Error.word() {
        return None;
    }
    let (info, ready) = (&compute.status.builder_state.info, compute.ready());
    let why = [info.as_str(), ready.map_or("", |ready| ready.message.as_str())];
    let why = why.into_iter().find(|text| !text.is_empty()).unwrap_or("nothing tells why");
    let category =
        ready.and_then(|ready| Category::ALL.into_iter().find(|known| known.word() == ready.reason));
    let healed = category.map(|known| format!("healed by {}; ", known.row().healed_by)).unwrap_or_default();
    Some(format!("{} ({healed}{more} {})", shown(why), compute.metadata.name))
}

/// A line under a row, folded at the width of the terminal, if it has one; its later rows begin where its text does.
pub fn under(line: &str, width: Option<usize>) -> String {
    let text = line.trim_start().split_once(' ').map_or("", |(_, text)| text);
    let indent = line.width() - text.width();
    fold(line, width.unwrap_or(usize::MAX), indent).join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::table::Layout;
    use serde_json::json;

    fn listed(name: &str, status: &str, owner: &str) -> Listed {
        let stored = json!({
            "metadata": {"name": name, "creationTimestamp": "2026-11-22T09:00:00Z"},
            "spec": {"owner": owner, "purpose": "query", "tags": ["a", "b"], "nodePool": {"nodeSelector": {"k": "v"}}},
            "status": {
                "aggregateStatus": status,
                "builderState": {"stage": "built", "summary": "2/2", "since": "2026-11-22T09:57:00Z"},
                "nodes": {"summary": "3/4"},
                "users": {"pods": 5, "workloads": 2},
                "conditions": [{"type": "Ready", "status": "True", "reason": "Active", "message": "all is well here"}],
            },
        });
        serde_json::from_value(stored).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    /// Header, rule and row of the page that the mission names, with the blanks at the end that it lost.
    #[test]
    fn the_page_comes_out_as_printed() {
        let page = "\
        NAME       | VERSION |      TYPE       | WORKSPACE | STATUS | RUNTIME |    OWNER     \n\
        -------------------|---------|-----------------|-----------|--------|---------|--------------\n\
        \u{20} new-usecases     | v1beta  |    compute      |           | active |         | iamgroot     \n";
        let page = format!("        {page}");
        let compute = listed("new-usecases", "active", "iamgroot");
        let table = table(&REFERENCE, &[&compute], now());
        assert_eq!(table.laid_out(Layout::Reference, true, None, &mut Vec::new()), page);
    }

    #[test]
    fn what_lasts_is_not_the_age() {
        let mut compute = listed("a", "active", "ann");
        let fields = [&REFERENCE[..], &REFERENCE_WIDE].concat();
        let before = lasting(&fields, &compute);
        compute.status.builder_state.since = None;
        assert_eq!(lasting(&fields, &compute), before);
        compute.status.users.pods = 6;
        assert_ne!(lasting(&fields, &compute), before);
    }

    #[test]
    fn a_line_under_a_row_keeps_its_indent_where_it_is_folded() {
        let line = "  ↳ no node matches (healed by a node; dataos-ctl why -t compute -n a)";
        assert_eq!(
            under(line, Some(30)),
            "  ↳ no node matches (healed by\n    a node; dataos-ctl why -t\n    compute -n a)\n"
        );
        assert_eq!(under(line, None), format!("{line}\n"));
        assert_eq!(under("  -> a b", Some(6)), "  -> a\n     b\n");
        // A word that is too long stays whole, so that it can be copied.
        assert_eq!(under("  -> aaaaaaaa b", Some(4)), "  ->\n     aaaaaaaa\n     b\n");
    }

    #[test]
    fn an_error_says_why_and_what_to_do() {
        let mut compute = listed("a", "error", "ann");
        compute.status.builder_state.info = "no node \u{1b}matches".into();
        compute.status.builder_state.stage = "building".into();
        compute.status.conditions[0].reason = "NoNodesMatch".into();
        assert_eq!(
            why(&compute, "dataos-ctl why -n").unwrap(),
            "no node \u{fffd}matches (healed by a node of the pool that is ready; dataos-ctl why -n a)"
        );
        compute.status.conditions.clear();
        assert_eq!(why(&compute, "x").unwrap(), "no node \u{fffd}matches (x a)");
        assert_eq!(why(&listed("a", "active", "ann"), "x"), None);
    }
}
