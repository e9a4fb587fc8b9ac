//! `cargo xtask up`.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use xtask::assets::{Assets, Plan, Settings, Tool};
use xtask::image;
use xtask::report::{Report, Terminal};
use xtask::rig::standing::{Standing, version_of};
use xtask::rig::{NODE, Options, POD_IMAGE};

use super::{Ended, lock, quoted, say, standing_folder, standing_kubeconfig};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run another Kubernetes than the main one, like 1.30; it is built when first asked for
    #[arg(long, value_name = "MINOR")]
    kubernetes: Option<String>,
    /// Add a node that runs real containers, and give it the image of `cargo xtask image`; it needs Linux, root and a few
    /// packages, which it names. It is of the main Kubernetes, for a kubelet may not be newer than its API server
    #[arg(long, conflicts_with = "kubernetes")]
    real_node: bool,
}

pub(crate) fn run(arguments: Arguments) -> Ended {
    let mut report = Terminal::new();
    let node = arguments.real_node;
    // With a node that runs pods the chart can be installed.
    let settings =
        Settings { kubernetes: arguments.kubernetes, node, helm: node, ..Settings::from_environment() };
    let plan = Plan::make(&settings)?;
    report.line(&plan.table().text());
    let assets = plan.carry_out(&settings, &mut report)?;

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
        tell(&found, &assets)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stopped = found.stop()?;
    if !stopped.is_empty() {
        say(&format!(
            "Stopped {} processes of a control plane that was not ready. The new one begins empty.",
            stopped.len()
        ));
    }
    let standing = start(&folder, assets.clone(), node, &mut report)?;
    tell(&standing, &assets)?;
    Ok(ExitCode::SUCCESS)
}

fn start(
    folder: &Path,
    assets: Assets,
    node: bool,
    report: &mut Terminal,
) -> Result<Standing, Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let version = version_of(assets.path(Tool::Apiserver)).unwrap_or_default();
    let standing = Standing::start(Options { node, ..Options::whole("up") }, folder, assets, report)?;
    let link = standing_kubeconfig();
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    symlink(standing.kubeconfig(), &link)?;
    say(&format!("Kubernetes {version} is ready after {:.1} s.", begin.elapsed().as_secs_f64()));
    Ok(standing)
}

/// Says how to go on by hand.
fn tell(standing: &Standing, assets: &Assets) -> Result<(), Box<dyn std::error::Error>> {
    let alias = |name: &str, tool| say(&format!("  alias {name}={}", quoted(assets.path(tool))));
    say(&format!("\n  export KUBECONFIG={}", quoted(&standing_kubeconfig())));
    alias("kubectl", Tool::Kubectl);
    if standing.has_node() {
        alias("helm", Tool::Helm);
        say(&format!("\n{}", bring(standing, assets)?));
        say(
            "KWOK plays the nodes that have the annotation kwok.x-k8s.io/node=fake. Stop it all with: cargo xtask down",
        );
    } else {
        say("\nNodes are objects: apply one and KWOK makes it Ready. Stop it all with: cargo xtask down");
    }
    Ok(())
}

/// Gives the real node the image of this checkout, where it was built; says what the node can run.
fn bring(standing: &Standing, assets: &Assets) -> Result<String, Box<dyn std::error::Error>> {
    let archive: PathBuf = image::own_archive();
    let runs = format!("{NODE} runs real containers, of images that it has: for example {POD_IMAGE}");
    if !archive.exists() {
        return Ok(format!("{runs}.\nTo bring it Poros: cargo xtask image, then this again."));
    }
    let names = standing.import_images(&archive, assets)?;
    let command = install(names.last().ok_or("it holds no image")?);
    Ok(format!("{runs}, and that of {}:\n  {command}", quoted(&archive)))
}

/// The command that installs the chart with this image, which the node calls so in full.
fn install(name: &str) -> String {
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, ""));
    let usual = format!("docker.io/library/{}", image::POROS);
    // What the chart presumes needs no word.
    let sets = [("repository", repository, usual.as_str()), ("tag", tag, env!("CARGO_PKG_VERSION"))];
    let told = sets.iter().filter(|(_, value, usual)| value != usual);
    let told: Vec<String> = told.map(|(key, value, _)| format!(" --set image.{key}={value}")).collect();
    format!(
        "helm install poros charts/poros --namespace poros-system --create-namespace --wait{}",
        told.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_told_what_it_does_not_presume() {
        let version = env!("CARGO_PKG_VERSION");
        let flags = |name: &str| install(name).split("--wait").nth(1).unwrap().to_owned();
        assert_eq!(flags(&format!("docker.io/library/poros:{version}")), "");
        assert_eq!(flags("docker.io/library/poros:0.0.1"), " --set image.tag=0.0.1");
        assert_eq!(
            flags(&format!("registry.example.org:5000/poros:{version}")),
            " --set image.repository=registry.example.org:5000/poros"
        );
    }
}
