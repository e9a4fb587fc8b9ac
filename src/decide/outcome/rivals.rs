//! What others did to the built objects: told while it is undone, and when they do it again and again.

use crate::decide::desired::Desired;
use crate::decide::manifest::Kind;
use crate::decide::outcome::wakes::Wakes;
use crate::decide::plan::REPAIRS_UNTIL_CONTENDED;
use crate::decide::verdict::{Facts, Verified};

/// What others did to a built object and is not undone and proven yet.
pub(super) fn drifted(facts: &Facts<'_>, verified: &Verified) -> Option<String> {
    if !matches!(facts.desired, Desired::Spec(_)) {
        return None;
    }
    let undone =
        facts.plan.placement.drift(Kind::Placement).or_else(|| facts.plan.binding.drift(Kind::Binding));
    let held = || facts.applied.waits_for().map(|why| format!("an object that Poros builds {why}"));
    // What was repaired is said until it is proven again, whoever repaired it.
    let open = matches!(verified, Verified::Pending(_));
    let said = || facts.compute.status.condition("Drifted").map(|condition| condition.message.clone());
    undone.or_else(held).or_else(|| if open { said() } else { None })
}

/// What a rival keeps doing.
pub(super) fn contended(facts: &Facts<'_>, wakes: &mut Wakes) -> Option<String> {
    let recall = &facts.observed.recall;
    let ago = recall.repaired_ago?;
    let repairs = recall.repairs + u32::from(facts.applied.repaired);
    if repairs < REPAIRS_UNTIL_CONTENDED || ago >= facts.settings.contended_quiet {
        return None;
    }
    wakes.at(facts.settings.contended_quiet.saturating_sub(ago));
    if ago < facts.settings.repair_interval {
        wakes.at(facts.settings.repair_interval.saturating_sub(ago));
    }
    // The first one seen stays the one that is named: two of them must not make a status a second.
    let rival = match recall.rival.as_deref().or(facts.plan.rival()) {
        Some(manager) => format!("another writer ({manager})"),
        None => "another writer".into(),
    };
    let name = &facts.observed.name;
    let binding = if facts.observed.admission.binds {
        format!(" mutatingadmissionpolicybinding/poros-{name}")
    } else {
        String::new()
    };
    Some(format!(
        "{rival} undid the repairs of what Poros built; Poros repairs at most every {} s until it stops (kubectl get placement/{name}{binding} --show-managed-fields -o yaml tells more)",
        facts.settings.repair_interval.as_secs(),
    ))
}
