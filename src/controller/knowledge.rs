//! What the webhook answers from: the world, and the API server where it is asked what somebody may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use crate::admission::Knowledge;
use crate::cluster::access;
use crate::cluster::watch::Watched;
use crate::controller::context::Context;

/// The webhook's view of this process; `unsynced` is what is still to be listed.
pub(super) fn knowledge(context: &Arc<Context>, unsynced: watch::Receiver<BTreeSet<Watched>>) -> Knowledge {
    let (known, asking) = (context.clone(), context.client.clone());
    Knowledge {
        unready: Arc::new(move || {
            let unsynced = unsynced.borrow();
            Watched::ANSWERED_FROM
                .into_iter()
                .filter(|what| unsynced.contains(what))
                .map(Watched::plural)
                .collect()
        }),
        in_force: Arc::new(move |name| known.world().in_force(name)),
        may_assign: Arc::new(move |subject, name| {
            let client = asking.clone();
            Box::pin(async move {
                let answer = access::may_assign_owner(&client, subject, &name).await;
                answer.unwrap_or_else(|error| {
                    warn!(compute = name, "who may assign its owner could not be asked: {}", error.chain());
                    false
                })
            })
        }),
    }
}
