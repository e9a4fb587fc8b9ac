//! One Compute to the API server, and what became of it.

use kube::Client;
use serde_json::{Value, json};

use crate::cluster::call::CallError;
use crate::cluster::computes::{self, Sending, Stored};
use crate::ctl::apply::items::{Item, Ready};
use crate::ctl::apply::request::Verb;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::report::Outcome;
use crate::ctl::wait::Target;
use crate::decide::observed::Compute;

/// What was, or would be, written.
pub(super) struct Written {
    /// What that made of it.
    pub(super) outcome: Outcome,
    /// The stored Compute, before; none where there was none.
    pub(super) current: Option<Compute>,
    /// What people write of it; null for none.
    pub(super) before: Value,
    /// The same after.
    pub(super) after: Value,
    /// The Compute that was written, for those that wait for it.
    pub(super) target: Target,
    /// The owner that the manifest names.
    owner: Option<String>,
}

impl Written {
    /// What admission changed in it, if that matters to people.
    pub(super) fn remark(&self) -> Option<String> {
        let owner = self.after["spec"]["owner"].as_str()?;
        let named = self.owner.as_deref().filter(|named| *named != owner)?;
        Some(format!(
            "its owner is {owner}, not {named}: who creates a Compute owns it, and only who may assign-owner can name another"
        ))
    }
}

/// What people write of a Compute.
fn written(stored: &Stored) -> Value {
    let Stored { object, .. } = stored;
    json!({
        "metadata": {"labels": object["metadata"]["labels"], "annotations": object["metadata"]["annotations"]},
        "spec": object["spec"],
    })
}

pub(super) async fn write(
    client: &Client,
    verb: Verb,
    item: &Item,
    ready: &Ready,
    how: Sending,
) -> Result<Written, Failure> {
    let judged = &ready.judged;
    let name = judged.name();
    let failed = |error: CallError, how: Sending| {
        let what = format!(
            "{}:{}: Compute {name} could not be {}",
            item.subject.file,
            item.subject.line,
            verb.done()
        );
        let mut failure = Failure::of_write(&what, &error);
        failure.text = failure.text.replace('\n', "\n    ");
        if matches!(error, CallError::Conflict(_)) && how.only_new {
            failure = failure.remedy("look at it, and apply or update it if it is yours");
        } else if matches!(error, CallError::Conflict(_)) {
            failure = failure.remedy(
                "--force-conflicts takes these fields over; or leave them out of the manifest, or ask who manages them",
            );
        }
        failure
    };
    let refused = |exit, text: String| item.subject.failure(exit, text);
    let before = computes::one::<Stored>(client, name).await.map_err(|error| failed(error, how))?;
    if let Some(stored) = &before
        && stored.compute.deleting
    {
        let text = format!(
            "Compute {name} is being deleted; wait until it is gone: dataos-ctl wait -t compute -n {name} --for deleted"
        );
        return Err(refused(Exit::Conflict, text));
    }
    match (verb, &before) {
        (Verb::Create, Some(_)) => {
            let text = format!("Compute {name} is there already; apply or update changes it");
            return Err(refused(Exit::Conflict, text));
        }
        (Verb::Update, None) => {
            let text = format!("there is no Compute {name} to update; apply or create makes it");
            return Err(refused(Exit::NotFound, text));
        }
        (Verb::Create, None) | (Verb::Update, Some(_)) | (Verb::Apply, _) => {}
    }
    let mut manifest = judged.compute.clone();
    if let Some(stored) = &before {
        // By its uid: one that is deleted and made anew in between is not taken for this one.
        manifest["metadata"]["uid"] = json!(stored.compute.uid);
    }
    let how = Sending { only_new: before.is_none(), ..how };
    let stored = computes::apply(client, name, &manifest, how).await.map_err(|error| failed(error, how))?;
    let target = Target {
        name: name.to_owned(),
        uid: Some(stored.compute.uid.clone()),
        generation: stored.compute.generation,
    };
    let after = written(&stored);
    let outcome = match &before {
        None => Outcome::Created,
        Some(stored) if written(stored) == after => Outcome::Unchanged,
        Some(_) => Outcome::Updated,
    };
    let owner = judged.compute["spec"]["owner"].as_str().map(str::to_owned);
    let (current, before) = match before {
        Some(stored) => {
            let before = written(&stored);
            (Some(stored.compute), before)
        }
        None => (None, Value::Null),
    };
    Ok(Written { outcome, current, before, after, target, owner })
}
