//! The flags of the webhook.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use poros::controller::context::WebhookOptions;
use poros::decide::certificate::Lifetime;
use poros::decide::registration::Endpoint;

use crate::Failure;
use crate::values::{address, label, seconds};

#[derive(Args)]
#[command(
    next_help_heading = "The webhook, where the API server has no MutatingAdmissionPolicy (Kubernetes below 1.36)"
)]
#[allow(clippy::struct_field_names)] // the names are those of the flags
pub(crate) struct Webhook {
    /// Serve the webhook here; port 0 is a free one, [::] every address, of either family
    #[arg(long, env = "POROS_WEBHOOK_LISTEN", default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT", value_parser = address)]
    webhook_listen: SocketAddr,
    /// The URL by which the API server finds it, without a path. Default: where it listens
    #[arg(long, env = "POROS_WEBHOOK_URL", value_name = "URL", value_parser = webhook_url)]
    webhook_url: Option<String>,
    /// The Service, in the namespace of Poros, by which the API server finds it (in a cluster)
    #[arg(long, env = "POROS_WEBHOOK_SERVICE", value_name = "NAME", value_parser = label, conflicts_with = "webhook_url")]
    webhook_service: Option<String>,
    /// Its certificates are valid this long; they are renewed after two thirds of that
    #[arg(long, env = "POROS_WEBHOOK_CERTIFICATE_LIFETIME", default_value_t = 31_536_000, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..=315_360_000))]
    webhook_certificate_lifetime: u64,
    /// What the API server serves must have been the same this long before only one way to place pods stands
    #[arg(long, env = "POROS_DISCOVERY_SETTLE", default_value = "600", value_name = "SECONDS", value_parser = seconds, hide = true)]
    pub(crate) discovery_settle: Duration,
}

impl Webhook {
    /// What the controller is told of it.
    pub(crate) fn options(&self, namespace: &str) -> Result<WebhookOptions, Failure> {
        let endpoint = match (&self.webhook_service, &self.webhook_url) {
            (Some(name), _) => {
                Some(Endpoint::Service { namespace: namespace.to_owned(), name: name.clone() })
            }
            (None, Some(url)) => Some(Endpoint::Url(url.clone())),
            (None, None) if self.webhook_listen.ip().is_unspecified() => {
                return Err(format!(
                    "--webhook-listen {} is every address of this machine: say with --webhook-url or --webhook-service by which the API server finds the webhook",
                    self.webhook_listen
                )
                .into());
            }
            (None, None) => None,
        };
        let lifetime = Lifetime(Duration::from_secs(self.webhook_certificate_lifetime));
        Ok(WebhookOptions { listen: self.webhook_listen, endpoint, lifetime })
    }
}

fn webhook_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let plain = url
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']));
    if plain { Ok(url.to_owned()) } else { Err("https://HOST or https://HOST:PORT is expected".into()) }
}
