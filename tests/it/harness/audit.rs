//! The audit log of the API server: what each user asked of it, and how often.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

use super::cluster::{Cluster, POROS_USER};

/// A place in the audit log: what comes after it is counted.
pub struct Audit {
    path: PathBuf,
    from: u64,
}

/// One request that was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub user: String,
    pub verb: String,
    /// `computes`, or `computes/status`.
    pub resource: String,
    pub name: String,
    pub dry_run: bool,
    pub code: u64,
}

impl Request {
    /// Whether it changed something, or tried to.
    pub fn writes(&self) -> bool {
        !self.dry_run && !["get", "list", "watch"].contains(&self.verb.as_str())
    }

    /// `create placements`, for messages and counts.
    pub fn what(&self) -> String {
        format!("{}{} {}", if self.dry_run { "dry-run " } else { "" }, self.verb, self.resource)
    }
}

impl Audit {
    /// Starts to count now. The log is written before an answer is given, so nothing earlier comes after.
    pub fn from_now(cluster: &Cluster) -> Self {
        let path = cluster.rig.audit_log();
        let from = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self { path, from }
    }

    /// All requests since, by anyone.
    pub fn all(&self) -> Vec<Request> {
        let mut file = std::fs::File::open(&self.path).expect("the audit log opens");
        file.seek(SeekFrom::Start(self.from)).expect("the audit log is read from where counting began");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("the audit log is text");
        text.lines().filter_map(|line| request(&serde_json::from_str(line).ok()?)).collect()
    }

    /// The requests of Poros since.
    pub fn poros(&self) -> Vec<Request> {
        self.all().into_iter().filter(|request| request.user == POROS_USER).collect()
    }

    /// How often Poros wrote since, by what, in alphabetical order; events are counted apart.
    pub fn writes(&self) -> Vec<(String, usize)> {
        counted(self.poros().iter().filter(|request| request.writes() && request.resource != "events"))
    }

    /// How many events Poros wrote since, or tried to.
    pub fn events(&self) -> usize {
        self.poros().iter().filter(|request| request.writes() && request.resource == "events").count()
    }

    /// How often Poros tried a proof since.
    pub fn probes(&self) -> usize {
        self.poros().iter().filter(|request| request.dry_run).count()
    }
}

/// Counts requests by what they are.
pub fn counted<'a>(requests: impl Iterator<Item = &'a Request>) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for request in requests {
        *counts.entry(request.what()).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// Answered requests, and watches that began. Lines about the end of a watch are not requests.
fn request(line: &Value) -> Option<Request> {
    let verb = line["verb"].as_str()?;
    let stage = if verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
    if line["stage"] != stage {
        return None;
    }
    let reference = &line["objectRef"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = match reference["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", word(&reference["resource"])),
        None => word(&reference["resource"]),
    };
    Some(Request {
        user: word(&line["user"]["username"]),
        verb: verb.to_owned(),
        resource,
        name: word(&reference["name"]),
        dry_run: line["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun=All")),
        code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
    })
}
