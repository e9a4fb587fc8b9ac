//! Follows Computes by name for whoever waits: as robust as the controller's own watches, for they are the same.

use std::time::Duration;

use kube::Client;
use kube::runtime::watcher::Config;

use crate::cluster::read::{Stored, stored};
use crate::cluster::resources;
use crate::cluster::watch::supervise::{Known, News, supervise};

/// What a watch tells of a Compute: its name, and how it is now; none if it is gone.
pub type Followed = (String, Option<Box<Stored>>);

/// A watch is begun anew with a list after one to two times this.
const ANEW: Duration = Duration::from_secs(3600);

/// Follows the Compute of this name (all for none) for ever, and tells each news.
pub async fn follow(client: &Client, name: Option<&str>, tell: impl Fn(News<Followed>) + Send) {
    let config = match name {
        // Enough for who may watch this one alone.
        Some(name) => Config::default().fields(&format!("metadata.name={name}")),
        None => Config::default(),
    };
    let computes = resources::computes(client);
    supervise(computes, config, ANEW, &Known::default(), Vec::new, tell, |name, object| {
        Some((name, object.map(|object| Box::new(stored(object)))))
    })
    .await;
}
