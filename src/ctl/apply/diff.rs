//! What a manifest would change: its fields, and the nodes of the pool.

use kube::Client;

use crate::ctl::apply::items::{Item, Ready};
use crate::ctl::apply::write::Written;
use crate::ctl::gather;
use crate::view::change;
use crate::view::page::Page;

/// The page that tells it, from what the API server would store.
pub(super) async fn page(client: &Client, item: &Item, ready: &Ready, written: Written) -> Page {
    let (file, document) = (item.subject.file.clone(), ready.document.clone());
    let mut facts = Box::pin(gather::change(client, file, document, written.current, false)).await;
    facts.answer = Some(change::Answer { before: written.before, after: written.after });
    change::explain(&facts).page()
}
