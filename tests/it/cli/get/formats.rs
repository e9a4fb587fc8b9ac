//! Each format, filter, order and hint of `get`, and what is said of arguments that do not fit.

use serde_json::{Value, json};

use super::of;
use crate::cli::transcript::{Printed, Transcript};
use crate::harness::cluster;
use crate::harness::objects::with;
use crate::harness::wait;
use crate::rows::{apply, clear};
use crate::trials;

trials![
    each_format_reads_as_in_its_transcript,
    json_and_yaml_are_what_kubectl_gives,
    kubectl_poros_reads_as_kubectl,
    what_does_not_fit_is_told,
    a_terminal_shows_why_and_is_not_commanded,
];

/// One Compute that is active, and one that never will be; both with a label.
async fn two(owner: &str, prefix: &str) -> [String; 2] {
    let client = cluster::shared().await.client().await;
    let [good, bad] = ["good", "bad"].map(|end| format!("{prefix}-{end}"));
    let labelled = |value: Value| with(value, "/metadata/labels", json!({"suite": prefix}));
    let tagged = with(of(owner, &good), "/spec/tags", json!(["a", "b"]));
    apply(&client, &labelled(tagged)).await;
    apply(&client, &labelled(with(of(owner, &bad), "/spec/dataplane", json!("elsewhere")))).await;
    wait::active(&client, &good).await;
    wait::says(&client, &bad, "error/error UnknownDataplane").await;
    [good, bad]
}

async fn each_format_reads_as_in_its_transcript() {
    let cluster = cluster::shared().await;
    let owner = "bea.formats";
    let names = two(owner, "cli-format").await;
    let mut told = Transcript::new("get-formats", cluster, owner);
    told.replace(r"\| \d+m?\d*s +", "| AGO ");
    told.run("dataos-ctl get -t compute --output wide");
    told.set("LANG", "C");
    told.run("dataos-ctl get -q --tags --no-headers");
    told.run("dataos-ctl get -q --columns name,stage,selector,message");
    told.run("dataos-ctl get -q --output name");
    told.run(
        "dataos-ctl get -q --output jsonpath='{range .items[*]}{.metadata.name}={.spec.owner}{\"\\n\"}{end}'",
    );
    told.run("dataos-ctl get -q --output custom-columns=NAME:.metadata.name,TAGS:.spec.tags[*],ABSENT:.a.b");
    told.run("dataos-ctl get -n cli-format-good -d -q | grep -v -e '^# .*[0-9]' -e '^#  '");
    told.run("dataos-ctl get -q --status error --columns name,status");
    told.run("dataos-ctl get -q --status '!error' --columns name,status");
    told.run("dataos-ctl get -q --stage built --columns name,stage --no-headers");
    told.run("dataos-ctl get -q --sort -name --columns name --no-headers");
    told.run("dataos-ctl get -q --sort status --columns name,status --no-headers");
    told.run("dataos-ctl get -a -q --selector suite=cli-format --columns name --no-headers");
    told.run("dataos-ctl get --status deleting");
    told.run("dataos-ctl get -o nobody --output json -q");
    told.file("both.yaml", format!("{}---\n{}", native("cli-format-good"), of(owner, "cli-format-bad")));
    told.run("dataos-ctl get -q -f both.yaml --columns name");
    told.run("dataos-ctl get -q -f - --output name < both.yaml");
    told.run("kubectl poros get cmp cli-format-good cli-format-bad -o name");
    told.run("kubectl poros get compute/cli-format-good -o jsonpath={.metadata.name}");
    told.run("kubectl poros get computes -l suite=cli-format --sort-by=.spec.dataplane --no-headers -o custom-columns=N:.metadata.name");
    told.run("kubectl poros get computes -l suite=none");
    told.run("kubectl poros get computes -l suite=none -o json");
    told.compare();
    let client = cluster.client().await;
    for name in &names {
        clear(&client, name).await;
    }
}

fn native(name: &str) -> String {
    format!(
        "name: {name}\nversion: v1beta\ntype: compute\n\
             compute:\n  purpose: query\n  nodePool:\n    nodeSelector: {{a: b}}\n"
    )
}

fn parsed(printed: &Printed) -> Value {
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{}", printed.out);
    serde_json::from_str(&printed.out).unwrap()
}

async fn json_and_yaml_are_what_kubectl_gives() {
    let cluster = cluster::shared().await;
    let names = two("cid.data", "cli-data").await;
    let told = Transcript::new("get-data", cluster, "cid.data");
    let theirs = parsed(&told.quietly("kubectl get computes -l suite=cli-data -o json"));
    assert_eq!(parsed(&told.quietly("kubectl poros get computes -l suite=cli-data -o json")), theirs);
    assert_eq!(parsed(&told.quietly("dataos-ctl get -q --output json")), theirs["items"]);
    let yaml = told.quietly("kubectl poros get computes -l suite=cli-data -o yaml").out;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), theirs);
    let one = "get compute cli-data-good -o json --show-managed-fields";
    let theirs = parsed(&told.quietly(&format!("kubectl {one}")));
    assert!(theirs["metadata"]["managedFields"].is_array());
    assert_eq!(parsed(&told.quietly(&format!("kubectl poros {one}"))), theirs);
    for template in [
        "{.items[*].metadata.name}",
        "{.items[*].status.conditions[?(@.type==\"Ready\")].reason}",
        "{range .items[*]}{.metadata.name}{\"\\t\"}{.spec.nodePool.nodeSelector}{\"\\n\"}{end}",
        "{.items[0].metadata.labels.suite}{.items[-1:].spec.owner}",
    ] {
        let line = format!("get computes -l suite=cli-data -o jsonpath='{template}'");
        let theirs = told.quietly(&format!("kubectl {line}"));
        assert_eq!(told.quietly(&format!("kubectl poros {line}")).out, theirs.out, "{template}");
        assert!(!theirs.out.is_empty(), "{template}: {}", theirs.err);
    }
    let client = cluster.client().await;
    for name in &names {
        clear(&client, name).await;
    }
}

async fn kubectl_poros_reads_as_kubectl() {
    let cluster = cluster::shared().await;
    let names = two("dan.kubectl", "cli-kubectl").await;
    let told = Transcript::new("get-kubectl", cluster, "dan.kubectl");
    for flags in [
        "computes -l suite=cli-kubectl",
        "computes -l suite=cli-kubectl -o wide",
        "cmp cli-kubectl-good --no-headers",
        "compute/cli-kubectl-good compute/cli-kubectl-bad -A",
        "computes -l suite=cli-kubectl --sort-by=.spec.dataplane -n default",
        "computes -l suite=cli-kubectl -o custom-columns=NAME:.metadata.name,P:.spec.purpose,X:.x",
        "computes -l suite=cli-kubectl -o name",
    ] {
        // The age may go on between the two.
        let mut last = (String::new(), String::new());
        for _ in 0..5 {
            let [ours, theirs] = ["kubectl poros get", "kubectl get"]
                .map(|program| told.quietly(&format!("{program} {flags}")));
            last = (ours.out + &ours.err, theirs.out + &theirs.err);
            if last.0 == last.1 {
                break;
            }
        }
        assert_eq!(last.0, last.1, "{flags}");
        assert!(last.0.contains("cli-kubectl-good"), "{}", last.0);
    }
    let client = cluster.client().await;
    for name in &names {
        clear(&client, name).await;
    }
}

async fn what_does_not_fit_is_told() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    apply(&client, &of("eve.errors", "cli-fit")).await;
    wait::active(&client, "cli-fit").await;
    let mut told = Transcript::new("get-errors", cluster, "owns.nothing");
    // How many there are, and which, is other tests' business.
    told.replace(r"shows all \d+ *", "shows all N");
    told.replace("(exists; there are|There are): [^\"\n]*", "$1: …");
    told.run("dataos-ctl get");
    told.run("dataos-ctl get -o nobody");
    told.run("dataos-ctl get -n cli-fit -w public --output name");
    told.run("dataos-ctl get --id compute:v1beta:cli-fit:public --output name -q");
    told.run("dataos-ctl get -n cli-fit -n cli-fat --columns name");
    told.run("dataos-ctl get -n cli-fat --output json");
    told.run("dataos-ctl get -n '../../../api' --output json -q");
    told.run("dataos-ctl get --status actve");
    told.run("dataos-ctl get --stage '!bilt' --output json");
    told.run("dataos-ctl get --output jsn");
    told.run("dataos-ctl get --output jsonpath='{.items[}'");
    told.run("dataos-ctl get --output custom-columns=NAME");
    told.run("dataos-ctl get --columns nam");
    told.run("dataos-ctl get --columns name --output json");
    told.run("dataos-ctl get --sort size");
    told.run("dataos-ctl get --selector 'a in ('");
    told.run("dataos-ctl get -v v7");
    told.run("dataos-ctl get -i cli-fit");
    told.run("dataos-ctl get -r --watch");
    told.run("dataos-ctl get --refreshRate 0 -r");
    told.file("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
    told.run("dataos-ctl get -f pod.yaml");
    told.file("broken.yaml", "a: [1\n");
    told.run("dataos-ctl get -f broken.yaml --output json");
    told.run("dataos-ctl get -f absent.yaml -f broken.yaml");
    told.run("dataos-ctl get -f broken.yaml -f absent.yaml");
    told.run("dataos-ctl get --watch -n cli-fat");
    told.run("kubectl poros get cli-fit");
    told.run("kubectl poros get pods");
    told.run("kubectl poros get compute cmp/cli-fit");
    told.run("kubectl poros get computes -ojson --bogus");
    told.compare();
    clear(&client, "cli-fit").await;
}

async fn a_terminal_shows_why_and_is_not_commanded() {
    let cluster = cluster::shared().await;
    let names = two("fay.terminal", "cli-terminal").await;
    let client = cluster.client().await;
    let hostile =
        with(of("fay.terminal", "cli-terminal-hostile"), "/spec/description", json!("a\u{1b}[2J\u{9b}b"));
    apply(&client, &hostile).await;
    wait::active(&client, "cli-terminal-hostile").await;
    let mut told = Transcript::new("get-terminal", cluster, "fay.terminal");
    told.set("TERM", "xterm");
    told.replace("\r\n", "\n");
    told.replace(" [0-9]+m?[0-9]*s +", " AGO ");
    let typed = |line: &str| format!("script -qec '{line}' /dev/null");
    told.run(&typed("dataos-ctl get"));
    told.run(&typed("dataos-ctl get --plain --quiet"));
    told.run(&typed("stty cols 60 rows 40; dataos-ctl get -q"));
    told.run(&typed("stty cols 60 rows 40; dataos-ctl get -n cli-terminal-bad --columns name,status"));
    told.run(&typed("stty cols 90 rows 40; kubectl poros get computes -l suite=cli-terminal -o wide | cat"));
    told.run(&typed("stty cols 170 rows 40; kubectl poros get cmp cli-terminal-bad -o wide --no-headers"));
    let path = "jsonpath={.items[0].spec.description}";
    told.run(&typed(&format!("dataos-ctl get -n cli-terminal-hostile -q --output {path}")));
    for format in ["yaml", "json", path] {
        let line = typed(&format!("dataos-ctl get -n cli-terminal-hostile -q --output {format}"));
        let printed = told.quietly(&line).out;
        assert!(!printed.contains(['\u{1b}', '\u{9b}']), "{format}: {printed:?}");
        assert!(printed.contains('b'), "{format}: {printed:?}");
    }
    told.compare();
    for name in names.iter().map(String::as_str).chain(["cli-terminal-hostile"]) {
        clear(&client, name).await;
    }
}
