//! Computes as they change: first those that there are, then each change.

use jiff::Timestamp;
use kube::Client;

use crate::api::listed::Listed;
use crate::cluster::computes::follow::{Ended, News, follow as watch};
use crate::cluster::computes::{Read, Selection};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::get::read::answer;
use crate::ctl::get::show::rows;
use crate::ctl::get::{Request, SIGN};
use crate::ctl::session::Session;
use crate::ctl::terminal::Terminal;
use crate::view::choice::Choice;
use crate::view::follow::{Event, Shown};
use crate::view::listing::Found;
use crate::view::talk::Voice;

/// Shows them until somebody ends it.
pub(super) async fn follow(request: &Request, session: &mut Session) -> Result<Exit, Failure> {
    session.terminal.info(SIGN, "get...");
    let client = session.client().await?;
    if request.needs_objects() {
        Box::pin(of::<serde_json::Value>(&client, request, &mut session.terminal)).await
    } else {
        Box::pin(of::<Listed>(&client, request, &mut session.terminal)).await
    }
}

async fn of<K>(client: &Client, request: &Request, terminal: &mut Terminal) -> Result<Exit, Failure>
where
    K: Read + Into<Found>,
{
    let answer = Box::pin(answer::<K>(client, request)).await?;
    if !answer.missing.is_empty() {
        return Err(Failure::new(Exit::NotFound, answer.missing.join("\n  ")));
    }
    terminal.info(SIGN, "get...complete");
    terminal.gap();
    let watched = Selection {
        labels: request.selector.clone(),
        name: match request.names.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        },
    };
    let mut screen = Screen {
        request,
        choice: answer.choice,
        terminal,
        shown: Shown::default(),
        widths: Vec::new(),
        headed: true,
        broken: false,
    };
    let first: Vec<(Event, Found)> =
        answer.found.into_iter().filter_map(|found| screen.there(found)).collect();
    if !first.is_empty() || screen.terminal.voice() == Voice::Dataos {
        screen.print(&first)?;
    }
    let ended = watch::<K, Failure>(client, &watched, Some(answer.version), |news| screen.tell(news)).await;
    match ended {
        Ok(never) => match never {},
        Err(Ended::Told(failure)) => Err(failure),
        Err(Ended::Refused(error)) => Err(Failure::of_call("Computes could not be watched", &error)),
    }
}

/// What is shown, and what was.
struct Screen<'a> {
    request: &'a Request,
    choice: Choice,
    terminal: &'a mut Terminal,
    shown: Shown<Found, Vec<String>>,
    widths: Vec<usize>,
    /// Whether the header is still to come.
    headed: bool,
    /// Whether it was said that the watch broke.
    broken: bool,
}

impl Screen<'_> {
    fn tell<K: Into<Found>>(&mut self, news: News<K>) -> Result<(), Failure> {
        let changes: Vec<(Event, Found)> = match news {
            News::Broken(why) => {
                if !self.broken {
                    self.terminal.warn("", &format!("the watch broke, and is begun again: {why}"));
                }
                self.broken = true;
                return Ok(());
            }
            News::There(object) => {
                let found = self.request.format.taken(object);
                self.there(found).into_iter().collect()
            }
            News::Gone(object) => {
                let found = self.request.format.taken(object);
                let name = found.name().to_owned();
                self.shown.gone(&name, Some(found)).into_iter().collect()
            }
            News::All(all) => {
                let all: Vec<Found> =
                    all.into_iter().map(|object| self.request.format.taken(object)).collect();
                let names = all.iter().map(Found::name).collect();
                let missing = self.shown.missing(&names);
                let gone: Vec<_> = missing.iter().filter_map(|name| self.shown.gone(name, None)).collect();
                let there = all.into_iter().filter_map(|found| self.there(found));
                gone.into_iter().chain(there.collect::<Vec<_>>()).collect()
            }
        };
        self.broken = false;
        if changes.is_empty() { Ok(()) } else { self.print(&changes) }
    }

    fn there(&mut self, found: Found) -> Option<(Event, Found)> {
        let (news, chosen) = (self.request.format.news(&found), self.choice.takes(&found.listed));
        let name = found.name().to_owned();
        self.shown.seen(&name, found, news, chosen)
    }

    fn print(&mut self, changes: &[(Event, Found)]) -> Result<(), Failure> {
        let format = &self.request.format;
        let now = Timestamp::now();
        let text = format.changes(changes, self.headed, now, self.terminal.look.width, &mut self.widths);
        let text = text.map_err(|error| Failure::of(Exit::Failed, &error))?;
        self.headed = false;
        let found: Vec<Found> = changes.iter().map(|(_, found)| found.clone()).collect();
        rows(self.request, &text, &found, self.terminal)
    }
}
