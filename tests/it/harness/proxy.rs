//! The fault proxy: it stands between Poros and the API server, numbers what Poros asks, and does harm where a test says.
//!
//! Rules are about requests (`on`), orders about watches that are under way (`order`). What it saw is a log, which is
//! printed when a test fails.

mod harm;
mod pki;
pub mod stage;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

use super::cluster::Cluster;
use super::{until, wait};
pub use harm::{Act, Body, Face, Order, Point, Said};
use harm::{Frames, List, Rewrites};

/// A request of Poros.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts the writes, from 1; none for what writes nothing.
    pub write: Option<u32>,
    pub verb: String,
    /// `computes`, `computes/status`.
    pub resource: String,
    /// Of the object; empty for a list.
    pub name: String,
    pub watch: bool,
    pub dry_run: bool,
    pub query: String,
    /// What the API server answered, also if Poros never heard it.
    pub answer: Option<u16>,
    /// What was done to it.
    pub act: Option<Act>,
    at: Duration,
}

impl Seen {
    /// Whether it is a write of what belongs to this Compute.
    pub fn writes(&self, compute: &str) -> bool {
        self.write.is_some() && (self.name == compute || self.name == format!("poros-{compute}"))
    }

    /// Whether it is this kind of request: `is("POST", "placements")`.
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.write.is_some() && self.verb == verb && self.resource == resource
    }

    /// Whether the API server did it.
    pub fn done(&self) -> bool {
        self.answer.is_some_and(|code| (200..300).contains(&code))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.write.map(|number| format!("#{number}")).unwrap_or_default();
        let kind = if self.watch { " (watch)" } else { "" };
        let kind = if self.dry_run { " (dry run)" } else { kind };
        let answer = self.answer.map_or("-".into(), |answer| answer.to_string());
        write!(
            to,
            "{:8.3} {number:>4} {:6} {} {}{kind} -> {answer}",
            self.at.as_secs_f64(),
            self.verb,
            self.resource,
            self.name
        )?;
        self.act.map_or(Ok(()), |act| write!(to, "  {act:?}"))
    }
}

struct Rule {
    matches: Box<dyn Fn(&Seen) -> bool + Send>,
    /// Requests that match and are let through first.
    skip: u32,
    times: u32,
    act: Act,
}

struct State {
    rules: Vec<Rule>,
    log: Vec<Seen>,
    writes: u32,
    outage: bool,
    /// Nothing more is heard from who is killed, or is about to be.
    deaf: bool,
    killed: bool,
    rewrites: Rewrites,
    /// The one token that is taken, if not every one is.
    token: Option<String>,
    face: Face,
}

struct Shared {
    state: Mutex<State>,
    orders: broadcast::Sender<(Order, Option<&'static str>)>,
    /// Whether what comes late may come.
    released: watch::Sender<bool>,
    /// Connections on which nothing is asked break.
    hang_ups: broadcast::Sender<()>,
    start: Instant,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and finds the rule for it: its place in the log, and what is to be done to it. Nothing if it came
    /// to a face that is not shown any more.
    fn note(&self, mut seen: Seen, face: Face) -> Option<(usize, Option<Act>)> {
        let mut state = self.state();
        if state.face != face {
            return None;
        }
        seen.at = self.start.elapsed();
        // What one may do is asked by a POST.
        let asks = seen.resource.starts_with("selfsubject");
        if !matches!(seen.verb.as_str(), "GET" | "HEAD") && !seen.dry_run && !asks {
            state.writes += 1;
            seen.write = Some(state.writes);
        }
        for rule in state.rules.iter_mut().filter(|rule| rule.times > 0 && (rule.matches)(&seen)) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            seen.act = Some(rule.act);
            break;
        }
        let act = seen.act;
        state.log.push(seen);
        Some((state.log.len() - 1, act))
    }

    fn answered(&self, at: usize, code: u16) {
        self.state().log[at].answer = Some(code);
    }

    fn list_rewrite(&self, resource: &str) -> Option<List> {
        self.state().rewrites.lists.get(resource).cloned()
    }

    fn frame_rewrite(&self, resource: &str) -> Option<Frames> {
        self.state().rewrites.frames.get(resource).cloned()
    }

    fn takes(&self, authorization: Option<&str>) -> bool {
        let state = self.state();
        let Some(token) = &state.token else { return true };
        authorization.is_some_and(|given| given.strip_prefix("Bearer ") == Some(token))
    }

    fn face(&self) -> Face {
        self.state().face
    }

    fn outage(&self) -> bool {
        self.state().outage
    }

    fn deaf(&self) -> bool {
        self.state().deaf
    }

    fn deafen(&self) {
        self.state().deaf = true;
    }

    /// Kills a process, which has no chance to prepare for it.
    fn kill(&self, pid: u32) {
        self.deafen();
        let status = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {pid}");
        self.state().killed = true;
    }
}

/// A proxy in front of the API server of one cluster.
pub struct Proxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    accept: tokio::task::JoinHandle<()>,
    next_authority: String,
}

impl Proxy {
    /// Starts it. Poros comes through it with a token: a client certificate would end here.
    pub async fn start(cluster: &Cluster) -> Self {
        let pki = pki::Pki::new();
        let next_authority = pki.next_authority();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                rules: Vec::new(),
                log: Vec::new(),
                writes: 0,
                outage: false,
                deaf: false,
                killed: false,
                rewrites: Rewrites::default(),
                token: None,
                face: Face::Known,
            }),
            orders: broadcast::Sender::new(64),
            released: watch::Sender::new(false),
            hang_ups: broadcast::Sender::new(4),
            start: Instant::now(),
        });
        let kubeconfig = kubeconfig(cluster, address, &pki.authority);
        let server = cluster.rig.url().trim_start_matches("https://").parse().unwrap();
        let upstream = wire::Upstream::new(server, &cluster.rig.ca_pem().unwrap());
        let accept = tokio::spawn(wire::accept(listener, pki.acceptors(), upstream, shared.clone()));
        Self { shared, kubeconfig, accept, next_authority }
    }

    /// The kubeconfig with which Poros comes through here.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// Does something to the next `times` requests of a kind.
    pub fn on(&self, act: Act, times: u32, matches: impl Fn(&Seen) -> bool + Send + 'static) {
        self.rule(act, 0, times, matches);
    }

    /// Does something to the n-th request of a kind, counted from 1.
    pub fn nth(&self, act: Act, n: u32, matches: impl Fn(&Seen) -> bool + Send + 'static) {
        self.rule(act, n - 1, 1, matches);
    }

    fn rule(&self, act: Act, skip: u32, times: u32, matches: impl Fn(&Seen) -> bool + Send + 'static) {
        self.shared.state().rules.push(Rule { matches: Box::new(matches), skip, times, act });
    }

    /// Does no harm any more, and listens to the next Poros if one was killed.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        (state.outage, state.deaf, state.killed) = (false, false, false);
        state.rewrites = Rewrites::default();
        state.token = None;
    }

    /// Rewrites lists of a resource: its query and the list as the API server gave it go in, what Poros gets comes out.
    pub fn lists(
        &self,
        resource: &'static str,
        rewrite: impl Fn(&str, Value) -> Value + Send + Sync + 'static,
    ) {
        self.shared.state().rewrites.lists.insert(resource, Arc::new(rewrite));
    }

    /// Rewrites the events of watches of a resource: what Poros gets in the place of each.
    pub fn events(&self, resource: &'static str, rewrite: impl FnMut(Value) -> Vec<Value> + Send + 'static) {
        self.shared.state().rewrites.frames.insert(resource, Arc::new(Mutex::new(rewrite)));
    }

    /// Takes this bearer token and no other.
    pub fn takes_token(&self, token: &str) {
        self.shared.state().token = Some(token.to_owned());
    }

    /// Shows this certificate on each new connection; those that stand break.
    pub fn shows(&self, face: Face) {
        self.shared.state().face = face;
        self.order(Order::Cut, None);
        self.hang_up();
    }

    /// Lets come what was to come late.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Breaks the connections on which nothing is under way.
    pub fn hang_up(&self) {
        let _ = self.shared.hang_ups.send(());
    }

    /// The authority of [`Face::Next`], as PEM.
    pub fn next_authority(&self) -> &str {
        &self.next_authority
    }

    /// Does something to the watches under way: of one resource, or of all.
    pub fn order(&self, order: Order, resource: Option<&'static str>) {
        // Nobody watches, nobody hears it.
        let _ = self.shared.orders.send((order, resource));
    }

    /// The API server cannot be reached, until `clear`.
    pub fn outage(&self) {
        self.shared.state().outage = true;
        self.order(Order::Cut, None);
    }

    /// A place in the log, for `since`.
    pub fn mark(&self) -> usize {
        self.shared.state().log.len()
    }

    /// What was asked since.
    pub fn since(&self, mark: usize) -> Vec<Seen> {
        self.shared.state().log[mark..].to_vec()
    }

    /// How many requests of a kind there were since.
    pub fn count(&self, mark: usize, matches: impl Fn(&Seen) -> bool) -> usize {
        self.shared.state().log[mark..].iter().filter(|seen| matches(seen)).count()
    }

    /// Waits until there were so many requests of a kind since.
    pub async fn await_count(
        &self,
        what: &str,
        mark: usize,
        count: usize,
        matches: impl Fn(&Seen) -> bool + Copy,
    ) {
        until(what, wait::LIMIT, || async move {
            let seen = self.count(mark, matches);
            if seen >= count { Ok(()) } else { Err(format!("{seen} of {count}")) }
        })
        .await;
    }

    /// Forgets all rules; whether one of them kills, or killed, since.
    pub fn disarm(&self, mark: usize) -> bool {
        let mut state = self.shared.state();
        state.rules.clear();
        state.log[mark..].iter().any(|seen| matches!(seen.act, Some(Act::Kill(..))))
    }

    /// Whether a rule killed.
    pub fn killed(&self) -> bool {
        self.shared.state().killed
    }

    /// All writes since, a line each.
    pub fn writes(&self, mark: usize) -> String {
        let log = self.since(mark);
        let lines = log.iter().filter(|seen| seen.write.is_some()).map(ToString::to_string);
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        if std::thread::panicking() {
            let log = self.since(0);
            eprintln!("the proxy saw, of {} requests, last:", log.len());
            log.iter().skip(log.len().saturating_sub(120)).for_each(|seen| eprintln!("{seen}"));
        }
    }
}

/// The kubeconfig of Poros's account, with the proxy in place of the API server.
fn kubeconfig(cluster: &Cluster, address: SocketAddr, authority: &str) -> PathBuf {
    let ca = cluster.rig.dir().join(format!("proxy-{}.crt", address.port()));
    std::fs::write(&ca, authority).unwrap();
    let text = std::fs::read_to_string(cluster.poros_kubeconfig()).unwrap();
    let text = text.replace(&cluster.rig.url(), &format!("https://{address}")).replace(
        &Value::from(cluster.rig.ca_file().to_string_lossy()).to_string(),
        &Value::from(ca.to_string_lossy()).to_string(),
    );
    let path = ca.with_extension("kubeconfig");
    std::fs::write(&path, text).unwrap();
    path
}
