//! The verbs that the reference has twice, each beside its long name: what they print differs in nothing but the name.

use regex::Regex;

use super::apply::native;
use super::transcript::Transcript;
use crate::harness::cluster;
use crate::harness::wait;
use crate::trials;

trials![verbs_do_the_same_by_their_long_names];

async fn verbs_do_the_same_by_their_long_names() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let mut told = Transcript::new("twice", cluster, "ann.twice");
    let names = ["cli-twice-a", "cli-twice-b"];
    for (name, file) in names.into_iter().zip(["a.yaml", "b.yaml"]) {
        told.file(file, native(name));
    }
    let seconds = Regex::new(r"\[\d{4}\]").unwrap();
    for line in [
        "VERB create -f FILE.yaml",
        "VERB create -f FILE.yaml --output json",
        "sed s/first/second/ FILE.yaml | VERB update -f -",
        "VERB apply -f FILE.yaml",
        "VERB apply -f FILE.yaml --lint",
        "VERB get -t compute -n cli-twice-FILE",
        "VERB get -t pod",
        "VERB delete -f FILE.yaml --dry-run=server",
        "VERB delete -t compute -n cli-twice-FILE",
        "VERB update -f FILE.yaml",
    ] {
        if line.contains("VERB get") {
            for name in names {
                wait::active(&client, name).await;
            }
        }
        let short = told.run(&line.replace("VERB", "dataos-ctl").replace("FILE", "a"));
        let long = told.run(&line.replace("VERB", "dataos-ctl resource").replace("FILE", "b"));
        let same = |text: &str| {
            seconds
                .replace_all(&text.replace("twice-b", "twice-a").replace("b.yaml", "a.yaml"), "")
                .into_owned()
        };
        assert_eq!(
            (same(&long.out), same(&long.err), long.code),
            (same(&short.out), same(&short.err), short.code),
            "{line}"
        );
    }
    told.compare();
}
