//! `poros retire`: for the hooks of the chart that run when it is uninstalled.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use poros::cluster::client::{Access, connect};
use poros::controller::retire;
use poros::telemetry;

use crate::Failure;
use crate::values::seconds;

#[derive(Args)]
pub(crate) struct Retire {
    /// The kubeconfig to use. Default: as kubectl, else the service account of the pod
    #[arg(long, env = "POROS_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// While Poros still runs: delete all Computes, unless one is in use. Default: take Poros's finalizer off them, after it stopped
    #[arg(long)]
    delete_computes: bool,
    /// How long it may take
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = seconds)]
    timeout: Duration,
}

pub(crate) fn run(arguments: Retire) -> Result<(), Failure> {
    telemetry::log("info", telemetry::LogFormat::Text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let access = Access { kubeconfig: arguments.kubeconfig, ..Access::default() };
        let client = connect(&access, Arc::new(|_, _| ())).await?;
        if arguments.delete_computes {
            retire::delete(&client, arguments.timeout).await?;
        } else {
            retire::release(&client, arguments.timeout).await?;
        }
        Ok(())
    })
}
