//! Computes as rows of a table: as the reference's `get` shows them, and as kubectl does.

use crate::api::identifier::TYPE;
use crate::api::listed::Listed;
use crate::api::names::VERSION_SHOWN;
use crate::view::table::{Column, Table};

/// As `dataos-ctl get -t compute` shows them.
pub fn as_reference(computes: &[Listed]) -> Table {
    let columns = vec![
        // The reference's own is 17, with the blank that stands before the first column.
        Column::new("NAME", 16),
        Column::new("VERSION", 7),
        Column::centred("TYPE", 15),
        Column::centred("WORKSPACE", 9),
        Column::new("STATUS", 6),
        Column::new("RUNTIME", 7),
        Column::new("OWNER", 12),
    ];
    let row = |compute: &Listed| {
        let cells = [
            compute.metadata.name.as_str(),
            VERSION_SHOWN,
            TYPE,
            // A Compute is in no workspace, and has no runtime.
            "",
            compute.status.aggregate_status.as_str(),
            "",
            compute.spec.owner.as_str(),
        ];
        cells.map(str::to_owned).to_vec()
    };
    Table { columns, rows: computes.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(name: &str, status: &str, owner: &str) -> Listed {
        let stored = json!({
            "metadata": {"name": name}, "spec": {"owner": owner}, "status": {"aggregateStatus": status},
        });
        serde_json::from_value(stored).unwrap()
    }

    /// Header, rule and row of the page that the mission names, with the blanks at the end that it lost.
    #[test]
    fn the_page_comes_out_as_printed() {
        let page = "\
        NAME       | VERSION |      TYPE       | WORKSPACE | STATUS | RUNTIME |    OWNER     \n\
        -------------------|---------|-----------------|-----------|--------|---------|--------------\n\
        \u{20} new-usecases     | v1beta  |    compute      |           | active |         | iamgroot     \n";
        let page = format!("        {page}");
        assert_eq!(as_reference(&[listed("new-usecases", "active", "iamgroot")]).as_reference(true), page);
    }
}
