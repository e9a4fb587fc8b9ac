//! What the two programs have in common.

use std::fmt::Debug;

use clap::{Args, Parser};

use crate::ctl::connection::Connection;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::terminal::Manners;
use crate::view::manifest::Variables;
use crate::view::talk::Voice;

/// A program: what was typed, once it fits.
pub trait Program: Parser {
    /// Whose manners it has.
    const VOICE: Voice;

    /// The flags of namespaces that a verb about Computes takes, which are in none.
    type Namespaces: Args + Debug;

    /// Whether the environment is put into manifests, and which.
    type Environment: Args + Debug + Into<Option<Variables>>;

    /// How it is to talk, and which cluster to ask.
    fn common(&self) -> (Manners, Connection);

    /// Whether what is asked for is JSON, so that errors are as well.
    fn speaks_json(&self) -> bool;

    /// Does what was typed.
    fn run(self, session: &mut Session) -> impl Future<Output = Result<Exit, Failure>>;
}
