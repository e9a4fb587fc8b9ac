//! `apply`, `create` and `update`: every outcome that a manifest can have.

use poros::cluster::call::CallError;
use poros::cluster::computes::{self, Sending};
use serde_json::json;

use super::transcript::Transcript;
use crate::harness::objects::{compute, node, patch, raw_computes, with};
use crate::harness::people::grant;
use crate::harness::poros::{Poros, SHORT};
use crate::harness::wait;
use crate::rows::{apply, clear, own, shared};
use crate::trials;

trials![
    what_is_applied_is_told_by_what_became_of_it,
    nothing_is_written_where_nothing_is_to_be,
    fields_of_others_are_a_conflict,
    who_may_not_is_told_what_is_missing,
    what_is_being_deleted_is_left_alone,
    waiting_ends_with_what_came,
    an_interrupt_tells_what_was_written,
    what_was_made_in_between_is_not_written_over,
    a_silent_api_server_is_asked_once,
];

/// A native manifest of a Compute that needs no node.
pub fn native(name: &str) -> String {
    format!(
        "name: {name}\nversion: v1beta\ntype: compute\ndescription: first\ncompute:\n  purpose: query\n  nodePool:\n    nodeSelector:\n      pool: {name}\n    minReadyNodes: 0\n"
    )
}

fn kubernetes(name: &str) -> String {
    with(compute(name), "/spec/nodePool/minReadyNodes", json!(0)).to_string()
}

async fn what_is_applied_is_told_by_what_became_of_it() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let user = "cli-apply-ann";
    grant(&client, user, "computes", &["get", "create", "patch"]).await;
    let mut told = Transcript::plain("apply-outcomes", cluster, user);
    told.file("a.yaml", native("cli-apply-a"));
    told.file("folder/b.json", kubernetes("cli-apply-b"));
    told.file("folder/c.yml", native("cli-apply-c"));
    told.file("folder/notes.md", "nothing");
    told.file("folder/more/d.yaml", native("$D"));
    told.set("D", "cli-apply-d");
    told.run("dataos-ctl apply -f a.yaml");
    told.run("dataos-ctl apply -f a.yaml -w public");
    told.run("sed 's/first/second/' a.yaml | dataos-ctl resource apply -f -");
    told.run("dataos-ctl apply -f folder");
    told.run("dataos-ctl apply -R -f folder -f a.yaml");
    told.file("owned.yaml", native("cli-apply-a") + "owner: somebody\n");
    told.run("dataos-ctl apply -f owned.yaml");
    told.run("dataos-ctl create -f a.yaml");
    told.file("new.yaml", native("cli-apply-new"));
    told.run("dataos-ctl update -f new.yaml");
    told.run("dataos-ctl create -f new.yaml --plain");
    told.run("sed 's/first/third/' new.yaml | dataos-ctl update -f - --output name");
    told.file(
        "twice.yaml",
        format!("{0}---\n{0}---\n{1}", native("cli-apply-a"), native("cli-apply-a").replace("first", "x")),
    );
    told.run("dataos-ctl apply -f twice.yaml");
    told.run("dataos-ctl apply -f a.yaml -f twice.yaml --output json");
    told.compare();
    for name in ["a", "b", "c", "d", "new"] {
        clear(&client, &format!("cli-apply-{name}")).await;
    }
}

async fn nothing_is_written_where_nothing_is_to_be() {
    // Nodes of its own, for it tells of all that there are.
    let (cluster, client) = own("it-cli-diff").await;
    let _poros = Poros::start(&cluster, &[&["--manage-policies"], &SHORT[..]].concat());
    let name = "cli-diff";
    apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    node(&client, "cli-diff-1", name, true).await;
    node(&client, "cli-diff-2", "cli-diff-other", true).await;
    wait::proven(&client, name).await;
    wait::compute(&client, name, "its node to be counted", |compute| {
        compute
            .status
            .as_ref()
            .is_some_and(|status| status.nodes.as_ref().is_some_and(|nodes| nodes.matched == 1))
    })
    .await;
    let mut told = Transcript::new("apply-diff", &cluster, "cli-diff-ann");
    let changed = native(name).replace(&format!("pool: {name}"), "pool: cli-diff-other");
    told.file("same.json", kubernetes(name));
    told.file("changed.yaml", &changed);
    told.file("new.yaml", native("cli-diff-new"));
    told.file(
        "labelled.json",
        with(serde_json::from_str(&kubernetes(name)).unwrap(), "/metadata/labels", json!({"team": "a"}))
            .to_string(),
    );
    told.run("dataos-ctl apply --diff -f same.json");
    told.run("dataos-ctl apply --diff -f changed.yaml --force-conflicts");
    told.run("dataos-ctl apply --diff -f labelled.json");
    told.run("dataos-ctl apply --diff -f new.yaml");
    told.run("dataos-ctl apply --dry-run -f changed.yaml -f new.yaml");
    told.run("dataos-ctl apply --dry-run=server -f same.json -f changed.yaml -f new.yaml --force-conflicts");
    told.set("KUBECONFIG", "/nowhere");
    told.run("dataos-ctl apply -l -f changed.yaml");
    told.set("POOL", "some");
    told.file("variable.yaml", changed.replace("pool: cli-diff-other", "pool: $POOL # $NOT_PUT_IN"));
    told.run("dataos-ctl apply --de-ref -f variable.yaml");
    told.compare();
    let left = raw_computes(&client).get_opt("cli-diff-new").await.unwrap();
    assert!(left.is_none(), "a dry run wrote");
    let stored = raw_computes(&client).get(name).await.unwrap();
    assert_eq!(stored.data["spec"]["nodePool"]["nodeSelector"]["pool"], name, "a dry run wrote");
    clear(&client, name).await;
}

async fn fields_of_others_are_a_conflict() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let name = "cli-conflict";
    let mut told = Transcript::new("apply-conflict", cluster, "cli-conflict-ann");
    told.file(
        "theirs.json",
        with(serde_json::from_str(&kubernetes(name)).unwrap(), "/spec/description", json!("theirs"))
            .to_string(),
    );
    told.quietly("kubectl apply --server-side --field-manager=gitops -f theirs.json");
    told.file("ours.yaml", native(name) + "layer: system\n");
    told.run("dataos-ctl apply -f ours.yaml");
    told.file("both.yaml", format!("{}layer: system\n---\n{}", native(name), native("Cli")));
    told.run("dataos-ctl apply -f ours.yaml --output json");
    told.run("dataos-ctl apply -f both.yaml --output json");
    told.run("dataos-ctl apply -f both.yaml --output yaml -q");
    told.run("dataos-ctl apply -f ours.yaml --force-conflicts");
    told.run("dataos-ctl apply -f ours.yaml");
    told.compare();
    clear(&client, name).await;
}

async fn who_may_not_is_told_what_is_missing() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let user = "cli-viewer";
    grant(&client, user, "computes", &["get", "list"]).await;
    let mut told = Transcript::plain("apply-denied", cluster, user);
    told.file(
        "a.yaml",
        format!("{}---\n{}", native("cli-denied-a"), native("cli-denied-b").replace("purpose", "porpoise")),
    );
    told.run("dataos-ctl apply -f a.yaml");
    told.run("dataos-ctl apply -l -f a.yaml -q");
    told.file("twice.yaml", format!("{0}---\n{0}", native("cli-denied-a")));
    told.run("dataos-ctl apply -f twice.yaml");
    told.run("dataos-ctl apply -l -f twice.yaml");
    told.compare();
    assert!(raw_computes(&client).get_opt("cli-denied-a").await.unwrap().is_none());
}

async fn what_is_being_deleted_is_left_alone() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let name = "cli-deleting";
    let mut told = Transcript::new("apply-deleting", cluster, "cli-deleting-ann");
    let held = with(
        serde_json::from_str(&kubernetes(name)).unwrap(),
        "/metadata/finalizers",
        json!(["example.com/held"]),
    );
    apply(&client, &held).await;
    told.quietly(&format!("kubectl delete compute {name} --wait=false"));
    told.file("a.yaml", native(name));
    told.run("dataos-ctl apply -f a.yaml");
    told.compare();
    // Once Poros has let go of it: a finalizer that is taken off meanwhile could not be put back.
    wait::compute(&client, name, "Poros to let it go", |compute| {
        compute.metadata.finalizers.as_ref().is_some_and(|held| held == &["example.com/held"])
    })
    .await;
    patch(&raw_computes(&client), name, &json!({"metadata": {"finalizers": null}})).await;
    wait::gone(&client, name).await;
}

async fn waiting_ends_with_what_came() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let mut told = Transcript::new("apply-wait", cluster, "cli-wait-ann");
    // How many steps are seen on the way, and how far it came in time, differs.
    told.replace(r"(?m)^2> INFO\[\d{4}\] cli-wait-[a-z]+: .*\n", "");
    told.replace(r"cli-wait-poor: stage building, .*", "cli-wait-poor: stage building, …");
    told.file("good.yaml", native("cli-wait-good"));
    told.file("poor.yaml", native("cli-wait-poor").replace("minReadyNodes: 0", "minReadyNodes: 1"));
    let elsewhere =
        native("cli-wait-abroad").replace("purpose: query", "purpose: query\n  dataplane: elsewhere");
    told.file("elsewhere.yaml", elsewhere);
    told.run("dataos-ctl apply -f good.yaml --wait");
    told.run("dataos-ctl apply -f good.yaml -f poor.yaml --wait=active --timeout 2");
    told.run("dataos-ctl apply -f elsewhere.yaml --wait");
    told.remark("what is wrong is told before the wait");
    told.file("wrong.yaml", native("cli-wait-wrong").replace("minReadyNodes: 0", "minReadyNodes: none"));
    told.run("dataos-ctl apply -f wrong.yaml -f good.yaml -f poor.yaml --wait --timeout 2s");
    told.run("dataos-ctl apply -f good.yaml --timeout soon");
    told.compare();
    for name in ["cli-wait-good", "cli-wait-poor", "cli-wait-abroad"] {
        clear(&client, name).await;
    }
}

async fn an_interrupt_tells_what_was_written() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let name = "cli-interrupt";
    let told = Transcript::new("apply-interrupt", cluster, "cli-interrupt-ann");
    let poor = native(name).replace("minReadyNodes: 0", "minReadyNodes: 1");
    told.file("poor.yaml", format!("{poor}---\n{}", poor.replace(name, "cli-interrupt-too")));
    let printed = told.quietly("timeout --preserve-status -s INT 3 dataos-ctl apply -f poor.yaml --wait");
    assert_eq!(printed.code, 130, "{}", printed.err);
    for words in ["...created", "apply...error", "interrupted", "2 created, not all active"] {
        assert!(printed.err.contains(words), "{words} in {}", printed.err);
    }
    for name in [name, "cli-interrupt-too"] {
        clear(&client, name).await;
    }
}

async fn what_was_made_in_between_is_not_written_over() {
    let client = shared().await.client().await;
    let name = "cli-between";
    let sent = async |description: &str, how: Sending| {
        let mut manifest: serde_json::Value = serde_json::from_str(&kubernetes(name)).unwrap();
        manifest["spec"]["description"] = json!(description);
        computes::apply(&client, name, &manifest, how).await
    };
    // What a verb sends that saw none of that name.
    let new = Sending { only_new: true, force: true, ..Sending::default() };
    let first = sent("first", new).await.unwrap();
    for how in [new, Sending { dry_run: true, ..new }] {
        let second = sent("second", how).await;
        assert!(matches!(second, Err(CallError::Conflict(_))), "{second:?}");
    }
    let again = sent("first", Sending::default()).await.unwrap();
    assert_eq!(again.compute.uid, first.compute.uid);
    assert_eq!(again.object["spec"]["description"], "first");
    assert_eq!(again.compute.generation, 1, "it was written over");
    clear(&client, name).await;
}

async fn a_silent_api_server_is_asked_once() {
    let cluster = shared().await;
    let mut told = Transcript::new("apply-silent", cluster, "cli-silent-ann");
    told.file(
        "many.yaml",
        (0..50)
            .map(|number| format!("---\n{}", native(&format!("silent-{number}"))))
            .collect::<Vec<_>>()
            .concat(),
    );
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    told.file("config", format!("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nclusters: [{{name: c, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\nusers: [{{name: u, user: {{}}}}]\n"));
    told.set("KUBECONFIG", "config");
    let printed = told.quietly("dataos-ctl apply -f many.yaml");
    assert_eq!(printed.code, 1, "{}", printed.err);
    let with = |words: &str| printed.err.lines().filter(|line| line.contains(words)).count();
    assert_eq!((with("...error"), with("...not tried")), (2, 49), "{}", printed.err);
    assert!(printed.err.contains("1 error, 49 not tried: the API server does not answer"), "{}", printed.err);
}
