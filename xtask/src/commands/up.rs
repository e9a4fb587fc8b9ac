//! `cargo xtask up`.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use xtask::assets::{Assets, Plan, Settings, Tool};
use xtask::report::{Report, Terminal};
use xtask::rig::standing::{Standing, version_of};
use xtask::rig::{NODE, Options, POD_IMAGE};

use super::{Ended, lock, quoted, say, standing_folder, standing_kubeconfig};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run another Kubernetes than the main one, like 1.30; it is built when first asked for
    #[arg(long, value_name = "MINOR")]
    kubernetes: Option<String>,
    /// Add a node that runs real containers; it needs Linux, root and a few packages, which it names. It is of the main
    /// Kubernetes, and a kubelet may not be newer than its API server
    #[arg(long, conflicts_with = "kubernetes")]
    real_node: bool,
}

pub(crate) fn run(arguments: Arguments) -> Ended {
    let mut report = Terminal::new();
    let node = arguments.real_node;
    let settings = Settings { kubernetes: arguments.kubernetes, node, ..Settings::from_environment() };
    let plan = Plan::make(&settings)?;
    report.line(&plan.table().text());
    let assets = plan.carry_out(&settings, &mut report)?;
    let kubectl = assets.path(Tool::Kubectl).to_owned();

    let _lock = lock()?;
    let folder = standing_folder();
    let found = Standing::read(&folder);
    if found.is_ready() {
        if !found.is_of(&assets) {
            return Err(
                "a control plane of another version is up: run `cargo xtask down`, then this again".into()
            );
        }
        if found.has_node() != node {
            let other = if node { "without a real node" } else { "with a real node" };
            return Err(
                format!("a control plane {other} is up: run `cargo xtask down`, then this again").into()
            );
        }
        say("The control plane is up already.");
        tell(&kubectl, node);
        return Ok(ExitCode::SUCCESS);
    }
    let stopped = found.stop()?;
    if !stopped.is_empty() {
        say(&format!(
            "Stopped {} processes of a control plane that was not ready. The new one begins empty.",
            stopped.len()
        ));
    }
    start(&folder, assets, node, &mut report)?;
    tell(&kubectl, node);
    Ok(ExitCode::SUCCESS)
}

fn start(
    folder: &Path,
    assets: Assets,
    node: bool,
    report: &mut Terminal,
) -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let version = version_of(assets.path(Tool::Apiserver)).unwrap_or_default();
    let standing = Standing::start(Options { node, ..Options::whole("up") }, folder, assets, report)?;
    let link = standing_kubeconfig();
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    symlink(standing.kubeconfig(), &link)?;
    say(&format!("Kubernetes {version} is ready after {:.1} s.", begin.elapsed().as_secs_f64()));
    Ok(())
}

fn tell(kubectl: &Path, node: bool) {
    say(&format!("\n  export KUBECONFIG={}", quoted(&standing_kubeconfig())));
    say(&format!("  alias kubectl={}", quoted(kubectl)));
    let nodes = if node {
        format!(
            "{NODE} runs real containers, of images that it has: for example {POD_IMAGE}.\nKWOK plays the nodes that have the annotation kwok.x-k8s.io/node=fake."
        )
    } else {
        "Nodes are objects: apply one and KWOK makes it Ready.".to_owned()
    };
    say(&format!("\n{nodes} Stop it all with: cargo xtask down"));
}
