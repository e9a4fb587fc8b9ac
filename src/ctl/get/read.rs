//! What `get` reads: Computes, as much of each as is shown.

use kube::Client;

use crate::api::listed::Listed;
use crate::cluster::call::chain;
use crate::cluster::computes::{self, Read, Selection, list};
use crate::cluster::whoami::whoami;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::get::{Owner, Request};
use crate::ctl::named::{look, unlisted};
use crate::view::choice::{Choice, Sort};
use crate::view::listing::Found;
use crate::view::names::absent;
use crate::view::talk::Voice;

/// What was read.
#[derive(Debug)]
pub(super) struct Answer {
    /// What is shown, in its order.
    pub(super) found: Vec<Found>,
    /// Of which it is shown.
    pub(super) choice: Choice,
    /// How many there are.
    pub(super) all: usize,
    /// Those that are asked for, whatever their state.
    pub(super) asked: usize,
    /// What to say of names that do not exist.
    pub(super) missing: Vec<String>,
    /// The version of the list; empty where there was none.
    pub(super) version: String,
}

/// Reads what is asked for: with one request, and one more for who asks where that matters.
pub(super) async fn answer<K>(client: &Client, request: &Request) -> Result<Answer, Failure>
where
    K: Read + Into<Found>,
{
    let me = async {
        match &request.owner {
            Owner::Mine => whoami(client).await.map(Some),
            Owner::Named(name) => Ok(Some(name.clone())),
            Owner::Anybody => Ok(None),
        }
    };
    let (listing, owner) = tokio::join!(listing::<K>(client, request), me);
    // Where neither is answered, what was asked for is told.
    let listing = listing?;
    let owner = owner.map_err(|error| Failure::of_call("who you are could not be asked", &error))?;
    let (status, stage) = (request.status.clone(), request.stage.clone());
    let choice = Choice { names: request.names.clone(), owner, status, stage };
    let mut found: Vec<Found> = listing.items.into_iter().map(Into::into).collect();
    let all = found.len();
    let missing = match &listing.others {
        Some(others) => missing(request, others),
        None => missing(request, &found.iter().map(|found| found.name().to_owned()).collect::<Vec<_>>()),
    };
    let asked = found.iter().filter(|found| choice.names_or_owns(&found.listed)).count();
    found.retain(|found| choice.takes(&found.listed));
    request
        .sort
        .check(found.iter().map(|found| &found.object))
        .map_err(|error| Failure::new(Exit::Failed, format!("Computes {}", chain(&error))))?;
    found.sort_by(|a, b| request.sort.compare((&a.listed, &a.object), (&b.listed, &b.object)));
    if request.format.voice == Voice::Kubectl && request.sort == Sort::default() {
        // kubectl shows what is named in the order in which it is.
        found.sort_by_key(|found| request.names.iter().position(|name| name == found.name()));
    }
    let found = found.into_iter().map(|found| request.format.taken(found)).collect();
    Ok(Answer { found, choice, all, asked, missing, version: listing.version })
}

struct Listing<K> {
    items: Vec<K>,
    version: String,
    /// The names that there are, where they are not those of the items.
    others: Option<Vec<String>>,
}

/// One by its name, if one is named and it is there; else all. A watch begins at a list.
async fn listing<K>(client: &Client, request: &Request) -> Result<Listing<K>, Failure>
where
    K: Read,
{
    let once = request.again != super::Again::Watch && request.selector.is_none();
    if let [name] = request.names.as_slice()
        && once
    {
        if let Some(found) = look(client, name).await? {
            return Ok(Listing { items: vec![found], version: String::new(), others: None });
        }
        // Only to say what was meant.
        let others = computes::all::<Listed>(client).await.map_err(|error| unlisted(&error))?;
        let others = others.into_iter().map(|listed| listed.metadata.name).collect();
        return Ok(Listing { items: Vec::new(), version: String::new(), others: Some(others) });
    }
    let selection = Selection { labels: request.selector.clone(), name: None };
    let listing = list(client, &selection).await.map_err(|error| unlisted(&error))?;
    Ok(Listing { items: listing.items, version: listing.version, others: None })
}

fn missing(request: &Request, there: &[String]) -> Vec<String> {
    let names = request.names.iter().filter(|name| !there.contains(name));
    names.map(|name| absent("Compute", name, there)).collect()
}
