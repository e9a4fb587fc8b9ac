//! What goes along with the verbs: jq, sample and schema of manifests, versions, completion, the manual.

use serde_json::{Value, json};

use super::transcript::Transcript;
use crate::harness::cluster;
use crate::harness::objects::{compute, with};
use crate::rows::{apply, clear};
use crate::trials;

trials![
    filters_run_over_manifests_within_bounds,
    manifests_are_helped_into_being,
    versions_are_told_and_those_that_cannot_be_asked_cost_the_exit_code,
    names_are_completed_as_they_are,
    what_is_mistyped_is_told_with_what_is_meant,
];

const TWO: &str = "name: one\nversion: v1beta\ntype: compute\ncompute:\n  purpose: query\n  nodePool: {nodeSelector: {a: b}}\n---\nname: two\nruns:\n- {phase: failed, completed: 2026-11-22T09:00:00Z}\n- {phase: done}\n";

async fn filters_run_over_manifests_within_bounds() {
    let mut told = Transcript::new("jq", cluster::shared().await, "ann");
    told.file("two.yaml", TWO);
    told.file("broken.yaml", "name: [one\n---\nname: two\n");
    // A name that would write a line of its own, and colour it.
    told.file("odd\nERRO[0000] \u{1b}[31m.yaml", "name: [one\n");
    told.run("dataos-ctl jq -f odd* --filter .name");
    told.run("dataos-ctl get -f odd* --output json");
    told.set("TOKEN", "s3cret");
    told.run("dataos-ctl jq -f two.yaml --filter .name");
    told.run("dataos-ctl jq -f two.yaml --filter '.runs[]? | select(.phase == \"failed\")'");
    told.run(
        "echo '{\"value\": \"pending:0/1\"}' | dataos-ctl jq -f - --filter '.value | split(\":\")[0]' --raw",
    );
    told.run("dataos-ctl jq -f two.yaml --filter '.name | .[}'");
    told.run("dataos-ctl jq -f two.yaml --filter .name.first");
    told.run("dataos-ctl jq -f broken.yaml -f nowhere.yaml --filter .name");
    told.run("dataos-ctl jq -f nowhere.yaml -f broken.yaml --filter .name");
    told.file("empty.yaml", "# nothing\n");
    told.run("dataos-ctl jq -f empty.yaml -f two.yaml --filter .name");
    told.run("dataos-ctl jq -f nowhere.yaml -f two.yaml --filter .name.first");
    told.run("dataos-ctl jq -f two.yaml --filter env.TOKEN");
    told.run("dataos-ctl jq -f two.yaml --filter '$ENV.TOKEN'");
    told.run("dataos-ctl jq -f two.yaml --filter 'range(0; 300000) | select(. >= 0)' --timeout 0 | tail -1");
    told.run("dataos-ctl jq -f two.yaml --filter 'def f: f; f' --timeout 200ms");
    told.run("dataos-ctl jq -f two.yaml --filter 'def f: [f]; f' --timeout 60s");
    told.run("dataos-ctl jq -f two.yaml --filter 'first(range(0; 1e9) | select(. == 300000)) | \"x\" * 60' --timeout 0");
    told.run("dataos-ctl jq -f two.yaml --filter '-.runs[0].n // 3 | . * 2'");
    told.run("dataos-ctl jq -f two.yaml --filter '\"x\" * 100000000000 | length'");
    let endless =
        told.quietly("dataos-ctl jq -f two.yaml --filter 'repeat(\"x\" * 1000000)' --timeout 60s | wc -c");
    assert!(endless.err.contains("it gives more than 16 MiB"), "{}", endless.err);
    let bytes: usize = endless.out.trim().parse().unwrap();
    assert!((15 << 20..=16 << 20).contains(&bytes), "{bytes}");
    told.compare();
}

async fn manifests_are_helped_into_being() {
    let mut told = Transcript::new("develop", cluster::shared().await, "ann");
    told.run("dataos-ctl develop generate -t compute -v v1beta -n reports");
    told.run("dataos-ctl develop generate -t computee");
    told.run("dataos-ctl develop generate -v v2");
    told.run("dataos-ctl develop generate -n Not_A_Name");
    told.run("dataos-ctl develop schema generate -t compute | head -8");
    told.run("dataos-ctl develop man pages");
    told.run("ls pages/dataos-ctl-develop*");
    told.run("dataos-ctl develop man /proc/pages");
    for flags in ["", " --kubernetes"] {
        let schema = told.quietly(&format!("dataos-ctl develop schema generate{flags}"));
        let schema: Value = serde_json::from_str(&schema.out).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
    told.compare();
}

async fn versions_are_told_and_those_that_cannot_be_asked_cost_the_exit_code() {
    let cluster = cluster::shared().await;
    let mut told = Transcript::new("version", cluster, "ann");
    told.replace(r"v1\.\d+\.\d+", "KUBERNETES");
    told.replace(&regex::escape(env!("CARGO_PKG_VERSION")), "VERSION");
    told.run("dataos-ctl version");
    told.run("kubectl poros version -o json");
    told.run("dataos-ctl version --client --output yaml");
    told.run("dataos-ctl version --client");
    told.run("dataos-ctl version --client --output json");
    told.run("dataos-ctl version --client >/dev/full");
    told.run("dataos-ctl --version");
    told.run("dataos-ctl --version >/dev/full");
    told.run("dataos-ctl get --help >/dev/full");
    told.run("dataos-ctl version --server https://127.0.0.1:1");
    told.run("dataos-ctl version --server https://127.0.0.1:1 --output json");
    told.compare();
}

async fn names_are_completed_as_they_are() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let names = ["cli-tab-one", "cli-tab-two"];
    for name in names {
        apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    }
    let mut told = Transcript::new("completion", cluster, "ann");
    told.file(
        "tab",
        "source <(dataos-ctl completion bash)\nCOMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMP_TYPE=9\n\
         _clap_complete_dataos_ctl dataos-ctl \"${COMP_WORDS[COMP_CWORD]}\" 2>/dev/null\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n",
    );
    told.run("bash tab dataos-ctl get -n cli-tab-");
    told.run("bash tab dataos-ctl get --context rigg -n cli-tab-");
    told.run("bash tab dataos-ctl get -t ''");
    told.run("bash tab dataos-ctl vers");
    told.run("bash tab dataos-ctl get --sel");
    told.run("kubectl __complete poros get computes cli-tab- 2>/dev/null");
    told.run("kubectl __complete poros get '' 2>/dev/null");
    told.run("kubectl __complete poros vers 2>/dev/null");
    told.run("dataos-ctl completion tcsh");
    told.compare();
    let told = Transcript::new("completion", cluster, "ann");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = told.quietly(&format!("dataos-ctl completion {shell}"));
        assert!(script.code == 0 && script.out.contains("DATAOS_CTL_COMPLETE"), "{shell}: {}", script.err);
    }
    for name in names {
        clear(&client, name).await;
    }
}

async fn what_is_mistyped_is_told_with_what_is_meant() {
    let mut told = Transcript::new("mistyped", cluster::shared().await, "ann");
    told.run("dataos-ctl gte -t compute");
    told.run("dataos-ctl resource gett");
    told.run("dataos-ctl develop generat");
    told.run("dataos-ctl pod");
    told.run("dataos-ctl log");
    told.run("dataos-ctl get --al");
    told.run("dataos-ctl jq --filter .");
    told.run("dataos-ctl why query");
    told.run("dataos-ctl wait -n query --timeout -5s");
    told.run("kubectl poros gett");
    for verb in ["wait", "why", "tree", "explain compute"] {
        let what = if verb == "wait" { "compute/cli-nowhere" } else { "cli-nowhere" };
        let found = told.quietly(&format!("kubectl poros {verb} {what} -n data -A"));
        assert_eq!(found.code, 3, "{verb}: {}", found.err);
    }
    told.run("kubectl poros get compute --selecto a=b");
    told.run("kubectl poros version --output xml");
    told.compare();
}
