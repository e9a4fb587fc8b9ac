//! `poros retire`: for the hooks of the chart that run when it is uninstalled.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use poros::cluster::client::{Access, connect};
use poros::controller::retire::{self, RetireError};
use poros::telemetry;

use crate::Failure;
use crate::values::{label, seconds};

/// Of a refusal: the Job that runs this need not try again.
const REFUSED: u8 = 3;

#[derive(Args)]
pub(crate) struct Retire {
    /// The kubeconfig to use. Default: as kubectl, else the service account of the pod
    #[arg(long, env = "POROS_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of Poros: its Lease is there, and the certificates of its webhook
    #[arg(long, env = "POROS_NAMESPACE", default_value = "poros-system", value_name = "NAME", value_parser = label)]
    namespace: String,
    /// While Poros still runs: delete all Computes, unless one is in use. Default: after it stopped, take its finalizer off them,
    /// and delete its Lease and certificates
    #[arg(long)]
    delete_computes: bool,
    /// How long it waits while no fewer Computes are left to be done
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = seconds)]
    timeout: Duration,
}

pub(crate) fn run(arguments: Retire) -> Result<(), Failure> {
    telemetry::log("info", telemetry::LogFormat::Text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let access = Access { kubeconfig: arguments.kubeconfig, again: true, ..Access::default() };
        let client = connect(&access, Arc::new(|_, _| ())).await?;
        if arguments.delete_computes {
            retire::delete(&client, &arguments.namespace, arguments.timeout).await?;
        } else {
            retire::release(&client, &arguments.namespace, arguments.timeout).await?;
        }
        Ok(())
    })
}

/// How a failure ends the process.
pub(crate) fn exit_code(error: &Failure) -> ExitCode {
    let refused = error.downcast_ref::<RetireError>().is_some_and(RetireError::is_refusal);
    if refused { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
}
