//! The shared admission policies as any supported API server takes them: each text compiles there, and is stored as written.

use std::process::Command;

use serde_json::Value;

use super::bare;
use crate::harness::objects::{dry_run, dynamic};
use crate::trials;

trials![the_shared_policies_are_taken_as_they_are];

const GROUP: &str = "admissionregistration.k8s.io/v1";
/// The first minor version that serves the mutating kinds in `v1`.
const MUTATING_SINCE: u32 = 36;

/// What `poros policies` prints, object by object.
fn printed() -> Vec<Value> {
    let printed = Command::new(env!("CARGO_BIN_EXE_poros")).arg("policies").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8(printed.stdout).unwrap();
    let documents = text.split("---\n").filter(|document| !document.trim().is_empty());
    documents.map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

async fn the_shared_policies_are_taken_as_they_are() {
    let client = bare().await.client().await;
    let served = client.list_api_group_resources(GROUP).await.unwrap().resources;
    let version = client.apiserver_version().await.unwrap();
    let minor: u32 = version.minor.trim_end_matches('+').parse().unwrap();
    let (mut taken, mut wrong) = (0, Vec::new());
    for object in printed() {
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let Some(resource) =
            served.iter().find(|resource| resource.kind == kind && !resource.name.contains('/'))
        else {
            let old = minor < MUTATING_SINCE && kind.starts_with("Mutating");
            assert!(old, "{} does not serve {kind} in {GROUP}", version.git_version);
            continue;
        };
        taken += 1;
        // A dry run compiles every expression, and changes nothing for the tests beside this one.
        match dry_run(&dynamic(&client, GROUP, kind, &resource.name, None), &object).await {
            Ok(stored) if stored.data["spec"] == object["spec"] => {}
            Ok(stored) => {
                wrong.push(format!("{kind} {name} is stored otherwise: {:.2000}", stored.data["spec"]));
            }
            Err(error) => wrong.push(format!("{kind} {name}: {error:.1000}")),
        }
    }
    assert!(wrong.is_empty(), "{}: {}", version.git_version, wrong.join("\n"));
    assert!(taken >= 4, "{}: only {taken} objects were tried", version.git_version);
}
