//! What the proxy can do to a request, to a watch, to a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Where Poros is killed, seen from the write that is to be its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The write never reaches the API server.
    Before,
    /// The API server has done it; Poros never hears of it.
    AfterCommit,
    /// Poros has heard of it, and does nothing after.
    AfterReply,
}

impl Point {
    pub const ALL: [Self; 3] = [Self::Before, Self::AfterCommit, Self::AfterReply];
}

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// This process is killed (SIGKILL), and nothing more is heard from it.
    Kill(Point, u32),
    /// It is answered with this status, and not forwarded.
    Answer(u16),
    /// It is answered like this.
    Say(Said),
    /// The connection is reset, and it is not forwarded.
    LoseRequest,
    /// It is forwarded, and the connection is reset instead of a reply.
    LoseReply,
    /// It is forwarded after this long.
    Hold(Duration),
    /// It is forwarded when the test says so (`release`), whatever became of who sent it, who never hears the reply.
    Late,
    /// It is forwarded, and its reply passed on after this long.
    HoldReply(Duration),
    /// It is forwarded; the connection breaks after so many bytes of the reply's body.
    CutReply(usize),
    /// It is forwarded; its reply comes byte by byte, with this pause between two.
    Drip(Duration),
}

/// An answer in the API server's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub code: u16,
    /// A header: name and value.
    pub header: Option<(&'static str, &'static str)>,
    pub body: Body,
    /// Whether the API server does what it was asked all the same.
    pub effect: bool,
}

impl Said {
    /// A refusal as the API server words it.
    pub const fn status(code: u16) -> Self {
        Self { code, header: None, body: Body::Status, effect: false }
    }

    /// Success, and this instead of an object.
    pub const fn garbage(body: Body) -> Self {
        Self { code: 200, header: None, body, effect: false }
    }
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The `Status` that fits the code.
    Status,
    /// This text.
    Text(&'static str),
    /// So many bytes of a JSON string that never ends.
    Large(usize),
    /// JSON so many lists deep.
    Deep(usize),
}

/// What is done to the watches that are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Their connections break.
    Cut,
    /// Each is told, in its stream, that its version is too old, and ends.
    Expire,
    /// They stay open, and say nothing any more.
    Silence,
}

/// The certificate that the proxy shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Of the authority in the kubeconfig.
    Known,
    /// Of that authority, but expired.
    Expired,
    /// Of that authority, but for another host.
    Misnamed,
    /// Of another authority.
    Next,
}

impl Face {
    pub const ALL: [Self; 4] = [Self::Known, Self::Expired, Self::Misnamed, Self::Next];
}

pub(super) type List = Arc<dyn Fn(&str, Value) -> Value + Send + Sync>;
pub(super) type Frames = Arc<Mutex<dyn FnMut(Value) -> Vec<Value> + Send>>;

/// What is rewritten, by resource.
#[derive(Default)]
pub(super) struct Rewrites {
    pub(super) lists: HashMap<&'static str, List>,
    pub(super) frames: HashMap<&'static str, Frames>,
}
