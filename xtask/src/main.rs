//! `cargo xtask`: the control plane, the checks and the demo, as one command.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::assets::chain;

mod commands;

/// Runs Poros's control plane, checks and demo. Brings what it needs by itself.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = ENVIRONMENT)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

const ENVIRONMENT: &str = "The control plane's binaries come from, in this order:
  KUBEBUILDER_ASSETS     a folder with etcd, kube-apiserver and, if you like, the rest
  the cache              poros/controlplane in XDG_CACHE_HOME or ~/.cache; shared by checkouts
  release downloads      checksums verified; other places by POROS_KUBERNETES_URL,
                         POROS_ETCD_URL, POROS_KWOK_URL, POROS_CONTAINERD_URL,
                         POROS_COREDNS_URL, POROS_HELM_URL
  a Go build             of tools/controlplane; 5 to 15 minutes, once; for the real
                         node also of tools/{node,runtime,coredns}; 10 to 20 minutes, once;
                         for tests of charts of tools/helm; 4 to 8 minutes, once
Another Kubernetes than the main one never comes from KUBEBUILDER_ASSETS.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show Poros at work on a control plane of its own, step by step
    Demo(commands::demo::Arguments),
    /// Build Poros as a container image, in target/image
    Image(commands::image::Arguments),
    /// Run every check: format, lints, dependencies, tests
    Test(commands::test::Arguments),
    /// Start a control plane that stays; kubeconfig in target/kubeconfig
    Up(commands::up::Arguments),
    /// Stop what `up` started
    Down,
    /// Show what `up` started
    Status,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Verb::Demo(arguments) => commands::demo::run(&arguments),
        Verb::Image(arguments) => commands::image::run(arguments),
        Verb::Test(arguments) => Ok(commands::test::run(&arguments)),
        Verb::Up(arguments) => commands::up::run(arguments),
        Verb::Down => commands::down::run(),
        Verb::Status => Ok(commands::status::run()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // With standard error closed, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
