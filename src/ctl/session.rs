//! What a verb has at hand: the terminal, and the cluster once it asks for it.

use std::sync::Arc;

use kube::Client;

use crate::cluster::client::connect;
use crate::ctl::connection::Connection;
use crate::ctl::failure::Failure;
use crate::ctl::interrupt::Interrupt;
use crate::ctl::terminal::Terminal;

/// What a verb has at hand.
pub struct Session {
    /// Where its answers go.
    pub terminal: Terminal,
    /// Which cluster.
    pub connection: Connection,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Session {
    /// The cluster. Verbs that need none work without one.
    pub async fn client(&self) -> Result<Client, Failure> {
        let client = connect(&self.connection.access(), Arc::new(|_, _| {})).await;
        client.map_err(|error| Failure::of_connect(&error))
    }
}
