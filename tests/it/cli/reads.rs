//! What reads: names that can be none, and what `get` prints as what others read.

use super::transcript::Transcript;
use crate::cli::get::of;
use crate::harness::{cluster, wait};
use crate::rows::{apply, clear};
use crate::trials;

trials![what_can_be_no_name_is_asked_for_nowhere, what_get_prints_others_take];

async fn what_can_be_no_name_is_asked_for_nowhere() {
    let told = Transcript::new("reads-names", cluster::shared().await, "ann");
    for (line, code, text) in [
        ("delete -n 'a b'", 3, "no Compute named \"a b\" exists"),
        ("delete -n 'rv-a?x=y'", 3, "no Compute named \"rv-a?x=y\" exists"),
        ("delete -n ''", 3, "no Compute named \"\" exists"),
        ("delete -n ..", 3, "no Compute named \"..\" exists"),
        ("delete -n 'a b' --ignore-not-found", 0, ""),
        ("get -n ..", 3, "no Compute named \"..\" exists"),
        ("describe -t compute -n 'a%2fb'", 3, "no Compute named \"a%2fb\" exists"),
        ("explain pod ../x", 2, "\"..\" can be no namespace"),
        ("explain pod x --namespace ..", 2, "\"..\" can be no namespace"),
        ("explain pod 'default/x?y'", 3, "no pod named \"default/x?y\" exists"),
    ] {
        let printed = told.quietly(&format!("dataos-ctl {line}"));
        assert_eq!(printed.code, code, "{line}: {}", printed.err);
        assert!(printed.err.contains(text), "{line}: {}", printed.err);
    }
}

async fn what_get_prints_others_take() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let owner = "fay.reads";
    let both = ["cli-reads-a", "cli-reads-b"];
    for name in both {
        apply(&client, &of(owner, name)).await;
        wait::active(&client, name).await;
    }
    let told = Transcript::new("reads-list", cluster, owner);
    for format in ["yaml", "json"] {
        let get = format!("dataos-ctl get -q --output {format}");
        let applied = told.quietly(&format!("{get} | dataos-ctl apply -f - --dry-run=server --output name"));
        assert_eq!(applied.code, 0, "{format}: {}", applied.err);
        let again = told.quietly(&format!("{get} | dataos-ctl get -q -f - --output name"));
        assert_eq!((again.code, again.out.lines().count()), (0, 2), "{format}: {}", again.err);
        let named = told.quietly(&format!("{get} | dataos-ctl jq -f - --filter .metadata.name --raw"));
        assert_eq!(named.out, "cli-reads-a\ncli-reads-b\n", "{format}: {}", named.err);
    }
    for name in both {
        clear(&client, name).await;
    }
}
