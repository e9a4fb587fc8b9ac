//! The guards: what each refuses or warns of, whom it leaves alone, and how all of them are opened.

mod account;
mod cascade;
mod deletion;
mod labels;
mod opened;
mod optional;
mod owner;
mod placements;
mod workloads;

use std::io::Write as _;
use std::process::Stdio;

use kube::api::DynamicObject;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::cluster::Cluster;
use crate::harness::until;
use crate::harness::wait::LIMIT;

/// All tests of the guards.
pub fn trials() -> Vec<Trial> {
    [
        labels::trials(),
        placements::trials(),
        workloads::trials(),
        owner::trials(),
        deletion::trials(),
        account::trials(),
        optional::trials(),
        opened::trials(),
        cascade::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a command said.
struct Said {
    done: bool,
    stdout: String,
    stderr: String,
}

/// Runs kubectl as admin, with this manifest as its input.
fn kubectl(cluster: &Cluster, arguments: &[&str], manifest: Option<&Value>) -> Said {
    let mut kubectl = cluster.rig.kubectl();
    kubectl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut kubectl = kubectl.spawn().expect("kubectl starts");
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(manifest.map(ToString::to_string).unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    let output = kubectl.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { done: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Waits until a request is refused with these words. A guard acts within about a second.
async fn refused<F>(words: &str, ask: impl Fn() -> F) -> String
where
    F: Future<Output = Result<DynamicObject, kube::Error>>,
{
    until(&format!("a refusal with {words:?}"), LIMIT, || async {
        match ask().await {
            Ok(object) => Err(format!("taken: {:?}", object.metadata.name)),
            Err(kube::Error::Api(status)) if status.message.contains(words) => Ok(status.message.clone()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Waits until a request is let through.
async fn taken<F, T>(what: &str, ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, kube::Error>>,
{
    until(what, LIMIT, || async { ask().await.map_err(|error| error.to_string()) }).await
}
