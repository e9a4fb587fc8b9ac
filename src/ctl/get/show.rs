//! Computes, shown once or again and again.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;

use crate::api::listed::Listed;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::get::read::{Answer, answer};
use crate::ctl::get::{Owner, Request, SIGN};
use crate::ctl::session::Session;
use crate::ctl::terminal::Terminal;
use crate::view::computes::{under, why};
use crate::view::listing::Found;
use crate::view::names::count;
use crate::view::output::Output;
use crate::view::talk::Voice;

/// Shows them once. What is not there is told first, so that what is there stands by itself.
pub(super) async fn once(request: &Request, session: &mut Session) -> Result<Exit, Failure> {
    session.terminal.info(SIGN, "get...");
    let answer = read(request, &session.client().await?).await?;
    let terminal = &mut session.terminal;
    if answer.missing.is_empty() {
        terminal.info(SIGN, "get...complete");
        show(request, &answer, terminal)?;
        return Ok(Exit::Ok);
    }
    let missing = Failure::new(Exit::NotFound, answer.missing.join("\n  "));
    if !is_shown(request, &answer) {
        return Err(missing);
    }
    terminal.failed(SIGN, "get...error");
    terminal.error(&missing.told());
    show(request, &answer, terminal)?;
    Ok(missing.exit)
}

/// Shows them again and again, on a terminal in one place. What goes wrong on the way is told, and tried again.
pub(super) async fn again(
    request: &Request,
    session: &mut Session,
    pause: Duration,
) -> Result<Exit, Failure> {
    // On one screen, lines of talk would run off with the table.
    let talks = !session.terminal.is_read_with_data();
    // One connection, and one login, for all of them.
    let client = session.client().await?;
    let mut first = true;
    loop {
        if talks {
            session.terminal.info(SIGN, "get...");
        }
        match read(request, &client).await {
            Ok(answer) => {
                if talks {
                    session.terminal.info(SIGN, "get...complete");
                } else {
                    session.terminal.anew()?;
                }
                for missing in &answer.missing {
                    session.terminal.warn("", missing);
                }
                if is_shown(request, &answer) {
                    show(request, &answer, &mut session.terminal)?;
                }
            }
            Err(failure) if first || failure.exit != Exit::Failed => return Err(failure),
            Err(failure) => session.terminal.warn("", &failure.told()),
        }
        first = false;
        tokio::time::sleep(pause).await;
    }
}

async fn read(request: &Request, client: &Client) -> Result<Answer, Failure> {
    if request.needs_objects() {
        Box::pin(answer::<serde_json::Value>(client, request)).await
    } else {
        Box::pin(answer::<Listed>(client, request)).await
    }
}

/// Whether there is something to show beside what is not there. Half of a document would pass for all of it.
fn is_shown(request: &Request, answer: &Answer) -> bool {
    let document = matches!(request.format.output, Output::Json | Output::Yaml);
    answer.missing.is_empty() || !(answer.found.is_empty() || document)
}

fn show(request: &Request, answer: &Answer, terminal: &mut Terminal) -> Result<(), Failure> {
    if answer.found.is_empty() {
        hint(request, answer, terminal);
        if terminal.voice() == Voice::Kubectl && request.format.is_table() {
            return Ok(());
        }
    }
    terminal.gap();
    let text = request.format.told(&answer.found, Timestamp::now(), terminal.look.width, &mut Vec::new());
    let text = text.map_err(|error| Failure::of(Exit::Failed, &error))?;
    rows(request, &text, &answer.found, terminal)
}

/// Writes a table, with the reason under each row that is in error where somebody reads it.
pub(super) fn rows(
    request: &Request,
    text: &str,
    found: &[Found],
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    if !request.format.wants_reasons() || !terminal.is_read_with_data() {
        return Ok(terminal.document(text)?);
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (head, rows) = lines.split_at(lines.len().saturating_sub(found.len()));
    terminal.document(&head.concat())?;
    for (row, found) in rows.iter().zip(found) {
        terminal.document(row)?;
        let more = match terminal.voice() {
            Voice::Dataos => "dataos-ctl why -t compute -n",
            Voice::Kubectl => "kubectl poros why compute",
        };
        if let Some(why) = why(&found.listed, more) {
            let sign = if terminal.look.emoji { "↳" } else { "->" };
            terminal.note(&under(&format!("  {sign} {why}"), terminal.look.width));
        }
    }
    Ok(())
}

/// Why there is nothing to see, and what would show more.
fn hint(request: &Request, answer: &Answer, terminal: &mut Terminal) {
    if terminal.voice() == Voice::Kubectl {
        if request.format.is_table() {
            terminal.aside("No resources found\n");
        }
        return;
    }
    let labelled = if request.selector.is_some() { " with these labels" } else { "" };
    let text = match (&answer.choice.owner, answer.all, answer.asked) {
        (_, 0, _) => format!("there is no Compute{labelled}"),
        (Some(owner), all, 0) => {
            let who = if request.owner == Owner::Mine {
                format!("you ({owner}) own")
            } else {
                format!("user {owner} owns")
            };
            format!("{who} no Compute; -a shows all {all}")
        }
        (_, _, asked) => format!("none of {} is in the state that was asked for", count(asked, "Compute")),
    };
    terminal.info("", &text);
}
