//! The tables of `get`, each with no row, one and twelve, and with names as long as they may be: `golden/layouts.txt`.

use std::fmt::Write as _;

use jiff::Timestamp;
use poros::api::listed::Listed;
use poros::view::computes::{Field, KUBECTL, KUBECTL_WIDE, REFERENCE, REFERENCE_WIDE, table};
use poros::view::table::Layout;
use serde_json::json;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pure/golden/layouts.txt");

fn listed(name: &str) -> Listed {
    let stored = json!({
        "metadata": {"name": name, "creationTimestamp": "2026-11-22T09:00:00Z"},
        "spec": {
            "owner": "ann", "purpose": "query", "tags": ["a", "b"],
            "nodePool": {"nodeSelector": {"dataos.io/purpose": "query"}},
        },
        "status": {
            "aggregateStatus": "error",
            "builderState": {"stage": "building", "summary": "2/2", "since": "2026-11-22T09:57:00Z"},
            "nodes": {"summary": "0/4"},
            "users": {"pods": 5, "workloads": 2},
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "NoReadyNodes",
                "message": "no node of the pool is ready: 4 match its selector, none of them is Ready",
            }],
        },
    });
    serde_json::from_value(stored).unwrap()
}

#[test]
fn layouts_read_as_in_their_golden_file() {
    let layouts = [
        ("dataos-ctl get", REFERENCE.to_vec(), Layout::Reference, None),
        ("dataos-ctl get, 60 columns", REFERENCE.to_vec(), Layout::Reference, Some(60)),
        ("dataos-ctl get --output wide", [&REFERENCE[..], &REFERENCE_WIDE].concat(), Layout::Reference, None),
        ("dataos-ctl get --tags", [&REFERENCE[..], &[Field::Tags]].concat(), Layout::Reference, None),
        ("kubectl poros get", KUBECTL.to_vec(), Layout::Kubectl, None),
        ("kubectl poros get -o wide", [&KUBECTL[..], &KUBECTL_WIDE].concat(), Layout::Kubectl, None),
        (
            "kubectl poros get -o wide, 160 columns",
            [&KUBECTL[..], &KUBECTL_WIDE].concat(),
            Layout::Kubectl,
            Some(160),
        ),
    ];
    let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    let names = (1..12).map(|index| format!("compute-{index:02}")).chain(["n".repeat(48)]);
    let all: Vec<Listed> = names.map(|name| listed(&name)).collect();
    let mut text = String::new();
    for (title, fields, layout, screen) in layouts {
        for count in [0, 1, 12] {
            let rows: Vec<&Listed> = all.iter().take(count).collect();
            let rows = table(&fields, &rows, now).laid_out(layout, true, screen, &mut Vec::new());
            let _ = write!(text, "== {title}: {count}\n{rows}");
        }
    }
    if std::env::var_os("POROS_BLESS").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(text == wanted, "POROS_BLESS=1 cargo test --test pure writes it anew:\n{text}");
}
