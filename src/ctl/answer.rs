//! How a verb that tells answers: its talk, then a page for people, or JSON or YAML for programs.

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::view::page::Style;

const SIGN: &str = "🔍 ";

/// How to tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Finds what a verb tells, and says so.
pub async fn found<T>(
    verb: &str,
    session: &mut Session,
    find: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    session.terminal.info(SIGN, &format!("{verb}..."));
    let found = find(session).await;
    if found.is_ok() {
        session.terminal.info(SIGN, &format!("{verb}...complete"));
    } else {
        session.terminal.failed(SIGN, &format!("{verb}...error"));
    }
    found
}

/// The time, where somebody looks at the answer as it comes.
pub fn now(session: &Session) -> Option<Timestamp> {
    session.terminal.look.interactive.then(Timestamp::now)
}

/// How a page is laid out for who looks.
pub fn style(session: &Session) -> Style {
    let look = session.terminal.look;
    Style::new(look.coloured, look.emoji, look.width)
}

/// Tells it: the text that is made for the terminal, or the data.
pub fn tell(
    session: &mut Session,
    output: Output,
    told: &impl Serialize,
    text: impl FnOnce(Style) -> String,
) -> Result<Exit, Failure> {
    session.terminal.gap();
    let text = match output {
        // Its parts are such as a terminal may show; it has colours.
        Output::Text => {
            let text = text(style(session));
            session.terminal.data(&text)?;
            return Ok(Exit::Ok);
        }
        Output::Json => {
            let text = serde_json::to_string_pretty(told);
            text.map_err(|error| Failure::of(Exit::Failed, &error))? + "\n"
        }
        Output::Yaml => serde_saphyr::to_string(told).map_err(|error| Failure::of(Exit::Failed, &error))?,
    };
    session.terminal.document(&text)?;
    Ok(Exit::Ok)
}
