//! What each scheduled pod requests, whichever Compute it names: kept only with `poros run --pool-usage`.

use std::collections::HashMap;

use crate::decide::quantity::Sum;

/// A scheduled, unfinished pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// `spec.nodeName`.
    pub node: String,
    /// What it requests, as the scheduler counts it.
    pub requests: Box<[(String, Sum)]>,
}

/// All of them, by `<namespace>/<name>`.
#[derive(Debug, Default)]
pub struct Usage {
    pods: HashMap<String, Scheduled>,
}

impl Usage {
    /// Takes in what a pod is now; gives back what it was, if that was something else.
    pub fn apply(&mut self, name: &str, pod: Option<&Scheduled>) -> Option<Option<Scheduled>> {
        if self.pods.get(name) == pod {
            return None;
        }
        Some(match pod {
            Some(pod) => self.pods.insert(name.to_owned(), pod.clone()),
            None => self.pods.remove(name),
        })
    }
}
