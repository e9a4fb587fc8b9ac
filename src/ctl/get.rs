//! `get`: the Computes that there are, and how they are.

mod follow;
mod read;
mod show;

use std::time::Duration;

use crate::api::identifier::Identifier;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::filed::Files;
use crate::ctl::interrupt::Interrupt;
use crate::ctl::session::Session;
use crate::ctl::terminal::reader_is_gone;
use crate::view::choice::{Sort, Words};
use crate::view::listing::Format;
use crate::view::talk::NO_WORKSPACE;

const SIGN: &str = "🔍 ";

/// What to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// These alone; all for none.
    pub names: Vec<String>,
    /// Those that these manifests name.
    pub files: Files,
    /// Whose.
    pub owner: Owner,
    /// In which states.
    pub status: Words,
    /// In which stages.
    pub stage: Words,
    /// A label selector, as kubectl takes it.
    pub selector: Option<String>,
    /// In which order.
    pub sort: Sort,
    /// In which way.
    pub format: Format,
    /// How often.
    pub again: Again,
    /// Whether a workspace was named, which a Compute has none of.
    pub workspace: bool,
}

/// Whose Computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Those of who asks.
    #[default]
    Mine,
    /// Those of this user.
    Named(String),
    /// Everybody's.
    Anybody,
}

/// How often they are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Once.
    #[default]
    No,
    /// All of them, again and again after so long.
    Every(Duration),
    /// And each that changes, as it does.
    Watch,
}

impl Request {
    /// All of them, as a table.
    pub fn of(format: Format) -> Self {
        Self {
            names: Vec::new(),
            files: Files::default(),
            owner: Owner::default(),
            status: Words::default(),
            stage: Words::default(),
            selector: None,
            sort: Sort::default(),
            format,
            again: Again::default(),
            workspace: false,
        }
    }

    /// Those that the reference's flags name: with a name, whose they are does not matter.
    #[must_use]
    pub fn naming(mut self, identifiers: Vec<Identifier>, owner: Owner) -> Self {
        self.workspace |= identifiers.iter().any(|identifier| identifier.workspace.is_some());
        self.names.extend(identifiers.into_iter().map(|identifier| identifier.name));
        let named = !self.names.is_empty() || !self.files.paths.is_empty();
        self.owner = if named && owner == Owner::Mine { Owner::Anybody } else { owner };
        self
    }

    /// Whether whole objects are read, or only what rows show.
    fn needs_objects(&self) -> bool {
        self.format.needs_objects() || self.sort.needs_objects()
    }
}

/// Shows them.
pub async fn get(mut request: Request, session: &mut Session) -> Result<Exit, Failure> {
    if request.workspace {
        session.terminal.warn("", NO_WORKSPACE);
    }
    request.names.extend(request.files.names(&mut session.terminal)?);
    let interrupt = session.interrupt.clone();
    let ended = match request.again {
        Again::No => Box::pin(show::once(&request, session)).await,
        Again::Every(pause) => until_ended(&interrupt, show::again(&request, session, pause)).await,
        Again::Watch => until_ended(&interrupt, follow::follow(&request, session)).await,
    };
    if ended.as_ref().is_err_and(|failure| failure.exit != Exit::Ok) {
        session.terminal.failed(SIGN, "get...error");
    }
    ended
}

/// Shows what has no end of its own. Who presses Ctrl-C ends it as any other program; that nobody reads on is no error.
async fn until_ended(
    interrupt: &Interrupt,
    shown: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    tokio::select! {
        ended = shown => ended,
        () = interrupt.heard() => Ok(Exit::Interrupted),
        () = reader_is_gone() => Ok(Exit::Ok),
    }
}
