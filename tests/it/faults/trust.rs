//! Who is who: tokens that are refused, certificates that must not be trusted, both replaced while Poros runs.

use std::time::Duration;

use serde_json::json;

use super::{LIMIT, SOON, pool, settled, settled_within};
use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{compute, create, raw_computes};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Face, Order};
use crate::harness::until;
use crate::trials;

trials![refusals_of_who_poros_is_heal_when_they_end, a_certificate_that_must_not_be_trusted_is_not,];

async fn refusals_of_who_poros_is_heal_when_they_end() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    for (code, name) in [(401, "unknown"), (403, "unwanted")] {
        pool(client, name).await;
        stage.proxy.on(Act::Answer(code), u32::MAX, |_| true);
        stage.proxy.order(Order::Cut, None);
        create(&raw_computes(client), &compute(name)).await.unwrap();
        // Long enough for every watch to be refused some times.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(poros.get("/healthz").unwrap().0, 200);
        stage.proxy.clear();
        settled(client, name, 1).await;
    }
    poros.await_ready(LIMIT);
}

async fn a_certificate_that_must_not_be_trusted_is_not() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    for face in [Face::Expired, Face::Misnamed, Face::Next] {
        let name = format!("face-{face:?}").to_lowercase();
        pool(client, &name).await;
        stage.proxy.shows(face);
        let mark = stage.proxy.mark();
        create(&raw_computes(client), &compute(&name)).await.unwrap();
        until("the log to say why", SOON, || async {
            let log = poros.log_text();
            let reason = match face {
                Face::Expired => "expired",
                Face::Misnamed => "not valid for name",
                Face::Known | Face::Next => "certificate",
            };
            if log.contains(reason) { Ok(()) } else { Err(log[log.len().saturating_sub(2_000)..].to_owned()) }
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(stage.proxy.count(mark, |_| true), 0, "nothing is said to who cannot be trusted");
        stage.proxy.shows(Face::Known);
        settled_within(client, &name, 1, LIMIT).await;
    }
    settled(client, "face-expired", 1).await;
}

/// The slow ones: kube reads both files anew once a minute.
pub mod patient {
    use super::{
        Duration, Face, NAMESPACE, Poros, READY, SHORT, Stage, compute, create, json, pool, raw_computes,
        settled, settled_within,
    };
    use crate::trials;

    trials![; slow: a_token_and_an_authority_that_are_replaced_are_followed_without_a_restart];

    async fn a_token_and_an_authority_that_are_replaced_are_followed_without_a_restart() {
        let stage = Stage::new().await;
        stage.poros().kill();
        let (cluster, client) = (stage.cluster(), &stage.client);
        let token = || {
            let made = cluster.kubectl(&["create", "token", "poros", "-n", NAMESPACE, "--duration=24h"]);
            made.trim().to_owned()
        };
        let dir = cluster.rig.dir();
        let (token_file, ca_file, kubeconfig) =
            (dir.join("rotated.token"), dir.join("rotated.crt"), dir.join("rotated.kubeconfig"));
        let text = std::fs::read_to_string(stage.proxy.kubeconfig()).unwrap();
        let mut config: serde_json::Value =
            serde_json::to_value(kube::config::Kubeconfig::from_yaml(&text).unwrap()).unwrap();
        let old_ca = config["clusters"][0]["cluster"]["certificate-authority"].as_str().unwrap().to_owned();
        std::fs::copy(old_ca, &ca_file).unwrap();
        std::fs::write(&token_file, token()).unwrap();
        config["clusters"][0]["cluster"]["certificate-authority"] = json!(ca_file);
        config["users"][0]["user"] = json!({"tokenFile": token_file});
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let poros = Poros::launch(cluster, &kubeconfig, &SHORT);
        poros.await_ready(READY);
        let id = poros.id();

        let new = token();
        stage.proxy.takes_token(&new);
        stage.proxy.order(super::Order::Cut, None);
        std::fs::write(&token_file, &new).unwrap();
        pool(client, "token").await;
        create(&raw_computes(client), &compute("token")).await.unwrap();
        settled_within(client, "token", 1, Duration::from_secs(150)).await;

        let both = format!("{}{}", std::fs::read_to_string(&ca_file).unwrap(), stage.proxy.next_authority());
        std::fs::write(&ca_file, both).unwrap();
        stage.proxy.shows(Face::Next);
        pool(client, "authority").await;
        create(&raw_computes(client), &compute("authority")).await.unwrap();
        settled_within(client, "authority", 1, Duration::from_secs(150)).await;
        settled(client, "token", 1).await;
        poros.await_ready(Duration::from_secs(60));
        assert_eq!(poros.id(), id, "the same process");
        stage.proxy.shows(Face::Known);
    }
}
