//! What the API server has no time for is asked again, and not for ever.

use super::transcript::Transcript;
use super::wait::{begin, end, of_computes, poolless};
use crate::harness::cluster;
use crate::harness::proxy::{Act, Proxy, Said, Seen};
use crate::harness::wait;
use crate::rows::{apply, clear};
use crate::trials;

trials![what_an_api_server_has_no_time_for_is_asked_again];

async fn what_an_api_server_has_no_time_for_is_asked_again() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-throttled";
    apply(&client, &poolless(name)).await;
    wait::active(&client, name).await;
    let proxy = Proxy::start(cluster).await;
    let told = Transcript::with_kubeconfig("throttled", cluster, proxy.kubeconfig().to_owned());
    let [get, delete] = ["get", "delete"].map(|verb| format!("dataos-ctl {verb} -t compute -n {name}"));
    let mark = proxy.mark();
    proxy.on(Act::Answer(429), 2, of_computes);
    let printed = end(begin(&told, &get)).await;
    assert_eq!((printed.code, proxy.count(mark, of_computes)), (0, 3), "{}", printed.err);
    let writes = |seen: &Seen| seen.is("DELETE", "computes");
    let long = Said { header: Some(("retry-after", "3600")), ..Said::status(429) };
    for (line, throttled, act, times) in [
        (&get, of_computes as fn(&Seen) -> bool, Act::Answer(429), 6),
        (&get, of_computes, Act::Say(long), 1),
        (&delete, writes, Act::Answer(429), 6),
    ] {
        let mark = proxy.mark();
        proxy.on(act, u32::MAX, throttled);
        let printed = end(begin(&told, line)).await;
        proxy.clear();
        assert_eq!((printed.code, proxy.count(mark, throttled)), (1, times), "{line}: {}", printed.err);
        assert!(printed.err.contains("try again in a while"), "{}", printed.err);
    }
    clear(&client, name).await;
}
