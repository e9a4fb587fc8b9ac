//! A thousand Computes, and an API server that restarts: how often it is asked, and that a watch goes on.

use futures::StreamExt as _;
use kube::Client;
use xtask::rig::{Options, Signal};

use super::changes::Running;
use super::of;
use crate::cli::transcript::Transcript;
use crate::harness::audit::{Audit, counted};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{create, delete, raw_computes};
use crate::harness::{until, wait};
use crate::rows;
use crate::trials;

trials![a_thousand_are_one_list_and_a_watch_outlives_the_api_server];

const COUNT: usize = 1_000;

async fn populate(client: &Client) {
    let computes = raw_computes(client);
    futures::stream::iter(0..COUNT)
        .map(|index| {
            let computes = computes.clone();
            async move { create(&computes, &of("lea", &format!("many-{index:04}"))).await.unwrap() }
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
}

async fn a_thousand_are_one_list_and_a_watch_outlives_the_api_server() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(Options::api_only("it-cli-many"))).await.unwrap();
    let client = cluster.client().await;
    rows::served(&client).await;
    let none = Transcript::new("get-none", &cluster, "lea").quietly("dataos-ctl get");
    assert!(none.code == 0 && none.err.contains("there is no Compute"), "{}", none.err);
    populate(&client).await;
    let told = Transcript::new("get-many", &cluster, "lea");
    let list = ("list computes".to_owned(), 1);
    let asks_who = ("create selfsubjectreviews".to_owned(), 1);
    for (line, rows, requests) in [
        ("dataos-ctl get -t compute -q", COUNT + 2, vec![asks_who.clone(), list.clone()]),
        ("dataos-ctl get -a --output wide -q", COUNT + 2, vec![list.clone()]),
        ("dataos-ctl get -a --output name --status pending -q", COUNT, vec![list.clone()]),
        ("kubectl poros get computes", COUNT + 1, vec![list.clone()]),
        ("kubectl poros get computes -o name --sort-by=.metadata.name", COUNT, vec![list.clone()]),
        ("dataos-ctl get -n many-0500 -q", 3, vec![("get computes".to_owned(), 1)]),
    ] {
        let audit = Audit::from_now(&cluster);
        let printed = told.quietly(line);
        assert_eq!((printed.code, printed.out.lines().count()), (0, rows), "{line}: {}", printed.err);
        let asked: Vec<_> = audit.all().into_iter().filter(|request| request.verb != "watch").collect();
        let asked =
            counted(asked.iter().filter(|request| {
                request.resource == "computes" || request.resource == "selfsubjectreviews"
            }));
        assert_eq!(asked, requests, "{line}");
    }
    let mut running = Running::start(&told, "dataos-ctl get --watch --output name");
    running.until(&["compute:v1beta:many-0999"]).await;
    cluster.rig.stop_apiserver(Signal::Kill).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    cluster.rig.start_apiserver().unwrap();
    until("a Compute to be taken", wait::LIMIT, || async {
        let made = create(&raw_computes(&client), &of("lea", "many-after")).await;
        made.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    running.until(&["many-after"]).await;
    delete(&raw_computes(&client), "many-0001").await.unwrap();
    running.until(&["many-0001"]).await;
    let (lines, said, code) = running.end();
    assert_eq!(code, 130, "{said}");
    assert_eq!(said.matches("the watch broke, and is begun again").count(), 1, "{said}");
    let again = lines.iter().filter(|line| line.ends_with("many-0002")).count();
    assert_eq!(again, 1, "what did not change is not shown again");
    assert!(lines.len() <= COUNT + 3, "{} lines", lines.len());
}
