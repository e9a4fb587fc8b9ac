//! Which cluster is asked, and as whom: the flags, as kubectl has them. There is no `--token`: what is typed can be read by
//! others, in the list of processes and the shell's history.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cluster::client::{Access, CALL_TIMEOUT};
use crate::view::time::{self, TimeError};

/// As good as no limit: a year.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which cluster, and as whom", next_display_order = 910)]
pub struct Connection {
    /// The kubeconfig to use. Default: those of KUBECONFIG, merged, else ~/.kube/config, else the service account of the pod
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the kubeconfig, instead of the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,
    /// The user of the kubeconfig, instead of the context's
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,
    /// The user to act as
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub impersonate: Option<String>,
    /// A group to act in; may be given more than once
    #[arg(long = "as-group", global = true, value_name = "GROUP", hide_short_help = true)]
    pub groups: Vec<String>,
    /// The uid to act with
    #[arg(long = "as-uid", global = true, value_name = "UID", hide_short_help = true)]
    pub uid: Option<String>,
    /// The URL of the API server, instead of the cluster's
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,
    /// The certificates of the authority to trust, instead of the cluster's
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// The name that the API server's certificate is to bear, instead of that in its URL
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Take any certificate: whoever is between you and the cluster can read and change everything
    #[arg(long, global = true, visible_alias = "tls-allow-insecure", hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,
    /// How long a request may take: 30s, 2m, or seconds; 0 for as long as it takes. Default: 10s
    #[arg(long, global = true, value_name = "TIME", value_parser = limit, hide_short_help = true)]
    pub request_timeout: Option<Duration>,
}

impl Connection {
    /// What that asks for.
    pub fn access(&self) -> Access {
        let Self { kubeconfig, context, cluster, user, impersonate, groups, uid, server, .. } = self.clone();
        Access {
            kubeconfig,
            context,
            cluster,
            user,
            server,
            certificate_authority: self.certificate_authority.clone(),
            tls_server_name: self.tls_server_name.clone(),
            insecure: self.insecure_skip_tls_verify,
            impersonate,
            groups,
            uid,
            request_timeout: Some(self.request_timeout.unwrap_or(CALL_TIMEOUT)),
            again: true,
            unattended: false,
        }
    }
}

/// A time after which something is given up; 0 for never.
pub(super) fn limit(text: &str) -> Result<Duration, TimeError> {
    let limit = time::read(text)?;
    Ok(if limit.is_zero() { NO_LIMIT } else { limit.min(NO_LIMIT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_kubectl_takes_them() {
        for (text, seconds) in [("30s", 30.0), ("2m", 120.0), ("1h30m", 5400.0), ("7", 7.0), ("500ms", 0.5)] {
            assert!((limit(text).unwrap().as_secs_f64() - seconds).abs() < 1e-9, "{text}");
        }
        assert_eq!(limit("0").unwrap(), NO_LIMIT);
        assert_eq!(limit("0s").unwrap(), NO_LIMIT);
        for text in ["", "soon", "-3s", "3 parsecs"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
