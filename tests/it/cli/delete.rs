//! `delete`: what goes, what is refused and why, and what is told while it takes time.

use serde_json::json;

use super::transcript::Transcript;
use super::wait::poolless;
use crate::harness::cluster;
use crate::harness::objects::{computes, create, delete, patch, pod, pods, raw_computes};
use crate::harness::people::grant;
use crate::harness::{until, wait};
use crate::rows::users::{workload, workloads};
use crate::rows::{apply, clear};
use crate::trials;

trials![
    each_is_tried_and_told,
    what_was_done_is_told_as_data,
    what_is_in_use_is_refused_and_goes_by_force,
    who_may_not_is_told_which_right_is_missing,
    who_holds_a_deletion_is_told,
    a_silent_api_server_is_asked_once,
    an_interrupt_tells_what_was_asked,
];

async fn a_silent_api_server_is_asked_once() {
    let cluster = cluster::shared().await;
    let mut told = Transcript::new("delete-silent", cluster, "ann");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    told.file("config", format!("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nclusters: [{{name: c, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\nusers: [{{name: u, user: {{}}}}]\n"));
    told.set("KUBECONFIG", "config");
    let names: Vec<String> = (0..20).map(|number| format!("-n silent-{number}")).collect();
    let printed = told.quietly(&format!("dataos-ctl delete -t compute {}", names.join(" ")));
    assert_eq!(printed.code, 1, "{}", printed.err);
    let with = |words: &str| printed.err.lines().filter(|line| line.contains(words)).count();
    assert_eq!((with("...error"), with("...not tried")), (2, 19), "{}", printed.err);
    assert!(printed.err.contains("1 error, 19 not tried: the API server does not answer"), "{}", printed.err);
}

async fn an_interrupt_tells_what_was_asked() {
    let cluster = cluster::shared().await;
    let told = Transcript::new("delete-interrupt", cluster, "ann");
    // It takes the connection, and answers nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let printed = told.quietly(&format!(
        "timeout --preserve-status -s INT 3 dataos-ctl delete -t compute -n a -n b --server http://127.0.0.1:{port}"
    ));
    assert_eq!(printed.code, 130, "{}", printed.err);
    for words in ["interrupted: whether a was asked to go is not known", "1 error, 1 not tried: interrupted"]
    {
        assert!(printed.err.contains(words), "{words} in {}", printed.err);
    }
}

async fn each_is_tried_and_told() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let names: Vec<String> = (1..=6).map(|index| format!("cli-delete-{index}")).collect();
    for name in &names {
        apply(&client, &poolless(name)).await;
        wait::active(&client, name).await;
    }
    for name in &names[4..] {
        patch(&raw_computes(&client), name, &json!({"metadata": {"labels": {"cli-delete": "these"}}})).await;
        wait::active(&client, name).await;
    }
    let mut told = Transcript::new("delete", cluster, "ann");
    told.replace("(no Compute named .*There are:) .*", "$1 …");
    // Whichever is gone first is told first.
    told.replace("deleting cli-delete-[34]:", "deleting cli-delete-3|4:");
    told.file(
        "these.yaml",
        "name: cli-delete-3\nversion: v1beta\ntype: compute\ncompute: {purpose: nonsense}\n---\n\
         apiVersion: poros.dataos.io/v1beta1\nkind: Compute\nmetadata: {name: $WHICH}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\nname: [\n",
    );
    told.set("WHICH", "cli-delete-4");
    told.run("dataos-ctl delete -t compute -n cli-delete-1 --dry-run=client");
    told.run("dataos-ctl delete -t compute -n cli-delete-1 --dry-run=server");
    told.run("dataos-ctl delete -t compute -n cli-delete-1");
    told.run("dataos-ctl delete -t compute -n cli-delete-1");
    told.run("dataos-ctl resource delete -i 'cli-delete-1 | v1beta | compute' --ignore-not-found -w public");
    told.run("dataos-ctl delete --id compute:v1beta:cli-delete-2 --wait=false");
    wait::gone(&client, &names[1]).await;
    told.run("dataos-ctl delete -f these.yaml -n cli-delete-01");
    told.run("dataos-ctl delete --selector cli-delete=these");
    assert!(computes(&client).get_opt(&names[4]).await.unwrap().is_some(), "nobody said yes");
    told.run("dataos-ctl delete --selector cli-delete=these --yes -q");
    told.run("dataos-ctl delete --selector cli-delete=these --yes");
    told.run("dataos-ctl delete");
    told.run("dataos-ctl delete -t computer -n a");
    told.compare();
    for name in &names {
        assert!(computes(&client).get_opt(name).await.unwrap().is_none(), "{name} is left");
    }
}

async fn what_was_done_is_told_as_data() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let names: Vec<String> = (1..=4).map(|index| format!("cli-data-{index}")).collect();
    for name in &names {
        apply(&client, &poolless(name)).await;
        wait::active(&client, name).await;
    }
    let held = "cli-data-held";
    let mut manifest = poolless(held);
    manifest["metadata"]["finalizers"] = json!(["example.com/hold"]);
    apply(&client, &manifest).await;
    wait::active(&client, held).await;
    let mut told = Transcript::new("delete-data", cluster, "ann");
    told.replace(r#"there are: [^"\n]*"#, "there are: …");
    told.replace(r#"There are: [^"\n]*"#, "There are: …");
    told.file("wrong.yaml", "name: cli-data-2\nversion: v1beta\ntype: compute\n---\nname: [\n");
    told.remark("each is named once more: a line for a copy, as apply has it");
    told.run("dataos-ctl delete -n cli-data-1 -n cli-data-1");
    told.run("dataos-ctl delete -n cli-data-2 -n cli-data-2 -f wrong.yaml --output json");
    told.run("dataos-ctl delete -n cli-data-none --output json");
    told.run("dataos-ctl delete -n cli-data-none --ignore-not-found --output json");
    told.run("dataos-ctl delete -n cli-data-3 -n cli-data-none --output name");
    told.run("dataos-ctl delete -n cli-data-4 -n cli-data-held --timeout 1s --output yaml -q");
    told.run("dataos-ctl delete --selector cli-data=x --output json");
    told.run("dataos-ctl delete -f nowhere.yaml --output json");
    told.compare();
    for name in &names {
        assert!(computes(&client).get_opt(name).await.unwrap().is_none(), "{name} is left");
    }
    patch(&raw_computes(&client), held, &json!({"metadata": {"finalizers": null}})).await;
    wait::gone(&client, held).await;
}

async fn what_is_in_use_is_refused_and_goes_by_force() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-delete-used";
    apply(&client, &poolless(name)).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    create(&pods(&client), &pod("cli-delete-user", name)).await.unwrap();
    create(&workloads(&client, "Deployment"), &workload("Deployment", name, name)).await.unwrap();
    wait::compute(&client, name, "used by both", |compute| {
        let users = compute.status.as_ref().and_then(|status| status.users.as_ref());
        users.is_some_and(|users| (users.pods, users.workloads) == (1, 1))
    })
    .await;
    wait::held(&client, name).await;
    let mut told = Transcript::new("delete-used", cluster, "ann");
    told.run("dataos-ctl delete -t compute -n cli-delete-used");
    told.run("dataos-ctl delete -t compute -n cli-delete-used --dry-run=client");
    told.run("dataos-ctl delete -t compute -n cli-delete-used --dry-run=server");
    let untouched = computes(&client).get(name).await.unwrap();
    assert_eq!((untouched.metadata.deletion_timestamp, untouched.metadata.annotations), (None, None));
    told.run("dataos-ctl delete -t compute -n cli-delete-used --force --dry-run=server");
    assert!(computes(&client).get(name).await.unwrap().metadata.annotations.is_none());
    // At a terminal its name is to be typed. (`script`, of the base system, makes one.)
    let forced = "dataos-ctl delete -t compute -n cli-delete-used --force";
    let typed = told.quietly(&format!("echo no | script -qec '{forced}' /dev/null"));
    assert_eq!(typed.code, 6, "{}", typed.out);
    for words in ["in use by 1 workload and 1 pod", "Type cli-delete-used to delete it", "was not deleted"] {
        assert!(typed.out.contains(words), "{words:?} is not in: {}", typed.out);
    }
    assert!(computes(&client).get(name).await.unwrap().metadata.annotations.is_none());
    told.run(forced);
    told.compare();
    assert!(computes(&client).get_opt(name).await.unwrap().is_none());
    assert!(pods(&client).get_opt("cli-delete-user").await.unwrap().is_some(), "its pod runs on");
    delete(&pods(&client), "cli-delete-user").await.unwrap();
    delete(&workloads(&client, "Deployment"), name).await.unwrap();
}

async fn who_may_not_is_told_which_right_is_missing() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-delete-denied";
    apply(&client, &poolless(name)).await;
    wait::active(&client, name).await;
    grant(&client, "cli-delete-reader", "computes", &["get", "list", "watch"]).await;
    let kubeconfig = cluster.rig.dir().join("cli-delete-reader.kubeconfig");
    let admin = std::fs::read_to_string(cluster.rig.kubeconfig()).unwrap();
    let mut reader: serde_json::Value = serde_saphyr::from_str(&admin).unwrap();
    reader["users"][0]["user"]["as"] = json!("cli-delete-reader");
    std::fs::write(&kubeconfig, reader.to_string()).unwrap();
    let mut told = Transcript::with_kubeconfig("delete-denied", cluster, kubeconfig);
    until("the role to be known", wait::LIMIT, || async {
        let printed = told.quietly("kubectl get compute cli-delete-denied");
        if printed.code == 0 { Ok(()) } else { Err(printed.err) }
    })
    .await;
    told.run("dataos-ctl delete -t compute -n cli-delete-denied");
    told.compare();
    clear(&client, name).await;
}

async fn who_holds_a_deletion_is_told() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-delete-held";
    let mut manifest = poolless(name);
    manifest["metadata"]["finalizers"] = json!(["example.com/hold"]);
    apply(&client, &manifest).await;
    wait::active(&client, name).await;
    let mut told = Transcript::new("delete-held", cluster, "ann");
    told.run("dataos-ctl delete -t compute -n cli-delete-held --timeout 3s");
    told.run("dataos-ctl wait -t compute -n cli-delete-held --timeout 3s");
    told.compare();
    patch(&raw_computes(&client), name, &json!({"metadata": {"finalizers": null}})).await;
    wait::gone(&client, name).await;
}
