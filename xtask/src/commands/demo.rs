//! `cargo xtask demo`.

use std::time::Duration;

use serde_json::Value;
use xtask::assets::{Plan, Settings};
use xtask::demo::{Scene, StepError, Story};
use xtask::report::{Report, Terminal};
use xtask::rig::{Options, Rig, Taint, node_yaml};
use xtask::signals;

use super::Ended;

/// How the demo ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// End after the last step; exit code 0 only if every step held
    #[arg(long)]
    once: bool,
}

const USAGE: &str = "
Now it is yours. In another terminal:";

pub(crate) fn run(arguments: &Arguments) -> Ended {
    let mut report = Terminal::new();
    let settings = Settings::from_environment();
    let plan = Plan::make(&settings)?;
    report.line(&plan.table().text());
    let assets = plan.carry_out(&settings, &mut report)?;
    signals::listen()?;
    let rig = Rig::start_with(Options::whole("demo"), assets, &mut report)?;
    let mut story = Story::new(rig);
    story.step("Five nodes in two pools, played by KWOK", nodes);
    Ok(story.end(arguments.once, USAGE, || ())?)
}

fn nodes(scene: &Scene<'_>) -> Result<(), StepError> {
    let taint = Taint { key: "dedicated", value: "query", effect: "NoSchedule" };
    let query = (1..=3).map(|n| {
        node_yaml(&format!("query-{n}"), &[("dataos.io/purpose", "query")], std::slice::from_ref(&taint))
    });
    let runnable =
        (1..=2).map(|n| node_yaml(&format!("runnable-{n}"), &[("dataos.io/purpose", "runnable")], &[]));
    let manifests: String = query.chain(runnable).collect();
    let file = scene.write("nodes.yaml", &manifests)?;
    scene.run(&format!("kubectl apply -f {file}"))?;
    scene.until("5 nodes are Ready and take pods", Duration::from_mins(1), &["nodes"], |list| {
        let nodes = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let waiting: Vec<&str> = nodes
            .iter()
            .filter(|node| !is_open(node))
            .filter_map(|node| node["metadata"]["name"].as_str())
            .collect();
        if nodes.len() == 5 && waiting.is_empty() {
            return Ok(());
        }
        Err(format!("{} nodes, not Ready or still tainted as such: {}", nodes.len(), waiting.join(", ")))
    })?;
    scene.run("kubectl get nodes -L dataos.io/purpose").map(drop)
}

/// Ready, and the controller manager has lifted the taint that every new node carries.
fn is_open(node: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let closed =
        |taint: &Value| taint["key"].as_str().is_some_and(|key| key.starts_with("node.kubernetes.io/"));
    list(&node["status"]["conditions"]).iter().any(ready) && !list(&node["spec"]["taints"]).iter().any(closed)
}
