//! `get`: the Computes that there are, and how they are.

use crate::api::identifier::Identifier;
use crate::api::listed::Listed;
use crate::cluster::read;
use crate::cluster::whoami::whoami;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::view::computes;
use crate::view::names::absent;
use crate::view::talk::Voice;

const SIGN: &str = "🔍 ";

/// What to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// These alone; all for none.
    pub names: Vec<String>,
    /// Whose.
    pub owner: Owner,
    /// A label selector, as kubectl takes it.
    pub selector: Option<String>,
    /// Whether the table has no header.
    pub no_headers: bool,
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

impl Request {
    /// Those that the reference's flags name: with a name, whose they are does not matter.
    pub fn of_identifiers(identifiers: Vec<Identifier>, owner: Owner) -> Self {
        let names: Vec<String> = identifiers.into_iter().map(|identifier| identifier.name).collect();
        let owner = match owner {
            Owner::Mine if !names.is_empty() => Owner::Anybody,
            owner => owner,
        };
        Self { names, owner, ..Self::default() }
    }
}

/// Shows them.
pub async fn get(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    session.terminal.info(SIGN, "get...");
    let found = match Box::pin(computes(&request, session)).await {
        Ok(found) => found,
        Err(failure) => {
            session.terminal.info(SIGN, "get...error");
            return Err(failure);
        }
    };
    session.terminal.info(SIGN, "get...complete");
    if found.is_empty() && session.terminal.voice() == Voice::Kubectl {
        session.terminal.aside("No resources found\n");
        return Ok(Exit::Ok);
    }
    session.terminal.gap();
    let table = computes::as_reference(&found);
    let headed = !request.no_headers;
    let text = match session.terminal.voice() {
        Voice::Dataos => table.as_reference(headed),
        Voice::Kubectl => table.as_kubectl(headed),
    };
    session.terminal.data(&text)?;
    Ok(Exit::Ok)
}

async fn computes(request: &Request, session: &Session) -> Result<Vec<Listed>, Failure> {
    let client = session.client().await?;
    let list = read::computes_as::<Listed>(&client, request.selector.as_deref());
    let me = async {
        match &request.owner {
            Owner::Mine => whoami(&client).await.map(Some),
            Owner::Named(name) => Ok(Some(name.clone())),
            Owner::Anybody => Ok(None),
        }
    };
    let (found, owner) = tokio::join!(list, me);
    let mut found = found.map_err(|error| Failure::of_call("Computes could not be listed", &error))?;
    let owner = owner.map_err(|error| Failure::of_call("who you are could not be asked", &error))?;
    let name = |compute: &Listed| compute.metadata.name.clone();
    if let Some(missing) =
        request.names.iter().find(|wanted| found.iter().all(|there| name(there) != **wanted))
    {
        let there: Vec<String> = found.iter().map(name).collect();
        return Err(Failure::new(Exit::NotFound, absent("Compute", missing, &there)));
    }
    found.retain(|compute| {
        let named = request.names.is_empty() || request.names.contains(&compute.metadata.name);
        named && owner.as_ref().is_none_or(|owner| compute.spec.owner == *owner)
    });
    found.sort_by_key(name);
    Ok(found)
}
