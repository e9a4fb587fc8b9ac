//! Tells people of transitions, beside the passes: an event that cannot be written never fails or delays one.

use std::time::Duration;

use kube::Client;
use tokio::sync::{Mutex, mpsc};
use tracing::{debug, warn};

use crate::api::status::ComputeStatus;
use crate::cluster::call::CallError;
use crate::cluster::events::write;
use crate::controller::lacks::Lacks;
use crate::decide::events::{Event, events};
use crate::decide::observed::Compute;
use crate::telemetry::Metrics;

/// Events that wait to be written; more are dropped.
const WAITING: usize = 1024;
/// Between two events: the API server has better things to do when many Computes fail at once.
const PAUSE: Duration = Duration::from_millis(20);
/// Tries of an event that the API server does not take for now, and the pause after the first, which doubles.
const TRIES: u32 = 5;
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// An event, and which incarnation of which Compute it is about.
#[derive(Debug)]
struct Told {
    name: String,
    uid: String,
    event: Event,
}

/// The queue of the events that are to be written.
#[derive(Debug)]
pub struct Events {
    sender: Option<mpsc::Sender<Told>>,
    waiting: Mutex<mpsc::Receiver<Told>>,
    metrics: Metrics,
}

impl Events {
    /// An empty queue; one that takes nothing in if events are not wanted.
    pub fn new(wanted: bool, metrics: Metrics) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING);
        Self { sender: wanted.then_some(sender), waiting: Mutex::new(waiting), metrics }
    }

    /// Takes in what a status says that was stored over the one of `compute`. Never waits.
    pub fn tell(&self, compute: &Compute, stored: &ComputeStatus) {
        let Some(sender) = &self.sender else { return };
        for event in events(&compute.status, stored) {
            let told = Told { name: compute.name.clone(), uid: compute.uid.clone(), event };
            if sender.try_send(told).is_err() {
                self.metrics.event("dropped");
            }
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    /// Writes them, one after the other, for ever. Of two calls at a time only one does.
    pub async fn run(&self, client: &Client, instance: &str, lacks: &Lacks) {
        let mut waiting = self.waiting.lock().await;
        let mut refused = false;
        while let Some(told) = waiting.recv().await {
            let result = self.write(client, instance, &told).await;
            match &result {
                Ok(()) | Err(CallError::Conflict(_)) => refused = false,
                // Said once: the same right is missing for all of them.
                Err(CallError::Forbidden(why)) if !refused => {
                    refused = true;
                    lacks.doubt_dispensable();
                    warn!("events are not written: {why}; grant it, or run with --events=false");
                }
                Err(error) => debug!(compute = told.name, "an event was not written: {}", error.chain()),
            }
            self.metrics.event(match result {
                Ok(()) => "written",
                Err(CallError::Conflict(_)) => "known",
                Err(CallError::Forbidden(_)) => "forbidden",
                Err(_) => "failed",
            });
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write(&self, client: &Client, instance: &str, told: &Told) -> Result<(), CallError> {
        let mut pause = FIRST_RETRY;
        let mut tries = 1;
        loop {
            let result = write(client, &told.name, &told.uid, &told.event, instance).await;
            let later = match &result {
                Err(
                    CallError::Unauthorized(_)
                    | CallError::Login(_)
                    | CallError::Otherwise(_)
                    | CallError::Timeout(_)
                    | CallError::Unreachable(_)
                    | CallError::Unreadable(_),
                ) => true,
                Err(CallError::Refused { code, .. }) => *code == 429 || *code >= 500,
                Ok(())
                | Err(
                    CallError::Conflict(_)
                    | CallError::Forbidden(_)
                    | CallError::NotFound(_)
                    | CallError::Unserved(_),
                ) => false,
            };
            if !later || tries == TRIES {
                return result;
            }
            tokio::time::sleep(pause).await;
            (tries, pause) = (tries + 1, pause * 2);
        }
    }
}
