//! The audit log of the API server: what each user asked of it, and how often.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cluster::{Cluster, POROS_USER};

/// No request that is counted takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// What an API server asks itself when it starts. Before that it does not know its roles, and refuses everybody.
const STARTS: &str = "\"requestURI\":\"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings\"";
/// For how long before that it may have refused.
const START: SignedDuration = SignedDuration::from_secs(20);

/// A place in the audit log: what the API server received after it is counted.
pub struct Audit {
    path: PathBuf,
    from: u64,
}

/// One request that was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub user: String,
    pub verb: String,
    pub group: String,
    /// `computes`, or `computes/status`.
    pub resource: String,
    /// Empty where the resource is in none.
    pub namespace: String,
    pub name: String,
    pub dry_run: bool,
    pub code: u64,
    /// Whether roles did not allow it; what admission refuses they did.
    pub forbidden: bool,
}

impl Request {
    /// Whether it changed something, or tried to. (What one may do is asked by a POST.)
    pub fn writes(&self) -> bool {
        !self.resource.starts_with("selfsubject")
            && !self.dry_run
            && !["get", "list", "watch"].contains(&self.verb.as_str())
    }

    /// `create placements`, for messages and counts.
    pub fn what(&self) -> String {
        format!("{}{} {}", if self.dry_run { "dry-run " } else { "" }, self.verb, self.resource)
    }
}

impl Audit {
    /// Starts to count now.
    pub fn from_now(cluster: &Cluster) -> Self {
        let path = cluster.rig.audit_log();
        let from = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self { path, from }
    }

    /// All requests since, by anyone. What a request does can be seen before its answer is in the log, but not before the
    /// request itself is: so the answers to all that was received by now are awaited.
    pub fn all(&self) -> Vec<Request> {
        let begin = Instant::now();
        let (mut answered, awaited) = self.read();
        let mut open = awaited.clone();
        while !open.is_disjoint(&awaited) {
            assert!(
                begin.elapsed() < LIMIT,
                "the API server does not answer {:?}",
                open.intersection(&awaited)
            );
            std::thread::sleep(Duration::from_millis(5));
            (answered, open) = self.read();
        }
        answered
    }

    /// The requests that were received since: those that were answered, and the ids of those that were not yet. A watch
    /// is answered when it begins, and nobody waits for that.
    fn read(&self) -> (Vec<Request>, BTreeSet<String>) {
        let mut file = std::fs::File::open(&self.path).expect("the audit log opens");
        file.seek(SeekFrom::Start(self.from)).expect("the audit log is read from where counting began");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("the audit log is read");
        let (mut answered, mut received, mut open) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        // The last line may be half written.
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            let (verb, stage) = (line["verb"].as_str(), line["stage"].as_str());
            let (Some(verb), Some(stage), Some(id)) = (verb, stage, line["auditID"].as_str()) else {
                continue;
            };
            let last = if verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
            if stage == "RequestReceived" {
                received.insert(id.to_owned());
                if verb != "watch" {
                    open.insert(id.to_owned());
                }
            } else if stage == last || stage == "Panic" {
                open.remove(id);
                if received.contains(id) {
                    answered.push(request(&line));
                }
            }
        }
        (answered, open)
    }

    /// The requests of Poros since.
    pub fn poros(&self) -> Vec<Request> {
        self.of(POROS_USER)
    }

    /// The requests of a user since.
    pub fn of(&self, user: &str) -> Vec<Request> {
        self.all().into_iter().filter(|request| request.user == user).collect()
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

/// All requests of a user that a whole log tells of and that were answered: of a watch, that it began.
pub fn whole(log: &Path, user: &str) -> Vec<Request> {
    let Ok(file) = std::fs::File::open(log) else { return Vec::new() };
    let mut lines = BufReader::new(file);
    let (mut line, named) = (String::new(), format!("\"username\":\"{user}\""));
    let mut found: Vec<(Timestamp, Request)> = Vec::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        // Most lines are of others, and logs are long.
        let (own, starts) = (line.contains(&named), line.contains(STARTS));
        if (own || starts)
            && !line.contains("\"stage\":\"RequestReceived\"")
            && let Ok(event) = serde_json::from_str::<Value>(&line)
        {
            let at = event["stageTimestamp"].as_str().and_then(|at| at.parse().ok());
            let at: Timestamp = at.expect("an event of the audit log has a time");
            // Of who impersonates somebody the own name comes first.
            if event["user"]["username"] == user && event["impersonatedUser"].is_null() {
                found.push((at, request(&event)));
            } else if event["user"]["username"] == "system:apiserver" {
                for (_, request) in
                    found.iter_mut().rev().take_while(|(then, _)| at.duration_since(*then) < START)
                {
                    request.forbidden = false;
                }
            }
        }
        line.clear();
    }
    found.into_iter().map(|(_, request)| request).collect()
}

fn request(line: &Value) -> Request {
    let reference = &line["objectRef"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = match reference["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", word(&reference["resource"])),
        None => word(&reference["resource"]),
    };
    Request {
        user: word(&line["user"]["username"]),
        verb: word(&line["verb"]),
        group: word(&reference["apiGroup"]),
        resource,
        namespace: word(&reference["namespace"]),
        name: word(&reference["name"]),
        dry_run: line["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun=All")),
        code: line["responseStatus"]["code"].as_u64().unwrap_or_default(),
        forbidden: line["annotations"]["authorization.k8s.io/decision"] == "forbid",
    }
}
