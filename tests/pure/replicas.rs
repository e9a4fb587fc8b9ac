//! Several replicas and several API servers, as the rules see them: what waits for the others, and what is asked first.

use std::time::Duration;

use poros::api::names::{ANNOTATION_GENERATION, ANNOTATION_OWNER_UID};
use poros::controller::memory::Memories;
use poros::decide::desired::desired;
use poros::decide::manifest::Kind;
use poros::decide::observed::Settings;
use poros::decide::plan::{Plan, plan};
use poros::decide::truth::Outcome;
use poros::decide::validate::validate;

use crate::sim::{Sim, spec};

const SOON: Duration = Duration::from_secs(20);
const REFRESH: Duration = Duration::from_secs(2);

/// How long it takes to Active with so many API servers.
fn time_to_active(servers: Option<usize>) -> Duration {
    let mut sim = Sim::new();
    sim.api_servers = servers;
    until_active(&mut sim)
}

/// Makes passes as they ask for them, until the Compute is active; gives back how long that took.
fn until_active(sim: &mut Sim) -> Duration {
    let begin = sim.elapsed;
    for _ in 0..100 {
        let Ok(Some((verdict, wake))) = sim.pass() else {
            panic!("there is a Compute, and nobody is killed")
        };
        if matches!(verdict.outcome, Outcome::Active { .. }) {
            return sim.elapsed.saturating_sub(begin);
        }
        sim.wait(wake.unwrap());
    }
    panic!("it does not become active");
}

/// What is planned now, by a process that remembers nothing.
fn planned(sim: &Sim) -> Plan {
    let settings = Settings::default();
    let mut observed = sim.observe();
    let valid = validate(observed.compute.as_ref().unwrap(), &settings);
    observed.recall = Memories::new(settings.clone()).recall(&observed, &valid, std::time::Instant::now());
    plan(&observed, &desired(&observed, &valid), &settings)
}

#[test]
fn a_placement_is_proven_after_the_refresh_of_the_api_servers_that_are_not_asked() {
    let alone = time_to_active(Some(1));
    assert_eq!(time_to_active(Some(0)), alone, "servers that do not name themselves are one");
    assert!(alone < REFRESH, "{alone:?}");
    let tried = REFRESH + Duration::from_millis(800);
    for servers in [Some(2), Some(3), None] {
        assert_eq!(time_to_active(servers), tried, "the first try, so much later: {servers:?}");
    }
}

#[test]
fn an_edit_waits_too_and_what_stands_proven_is_not_proven_anew() {
    let mut sim = Sim::new();
    sim.settle(SOON);
    sim.api_servers = Some(2);
    sim.writes = 0;
    sim.settle(SOON);
    assert_eq!(sim.writes, 0, "another API server is no news to a Compute");
    sim.edit(|compute| compute.spec = Ok(spec("b")));
    sim.pass().ok().unwrap();
    let took = until_active(&mut sim);
    assert!((REFRESH..REFRESH + Duration::from_secs(1)).contains(&took), "{took:?}");
}

#[test]
fn who_does_not_know_when_the_last_write_was_waits_as_if_it_were_now() {
    let mut sim = Sim::new();
    sim.api_servers = Some(2);
    sim.pass().ok().unwrap();
    assert!(sim.placement.is_some() && sim.binding.is_some());
    sim.restart();
    assert!(until_active(&mut sim) >= REFRESH);
}

#[test]
fn a_placement_outlives_its_binding_by_the_refresh_of_the_others() {
    for (servers, expect) in [(1, Duration::ZERO), (2, REFRESH)] {
        let mut sim = Sim::new();
        sim.api_servers = Some(servers);
        sim.settle(SOON);
        sim.edit(|compute| compute.deleting = true);
        let (mut unbound, mut gone) = (None, None);
        while sim.compute.is_some() {
            let wake = sim.pass().ok().unwrap().and_then(|(_, wake)| wake);
            unbound = unbound.or(sim.binding.is_none().then_some(sim.elapsed));
            gone = gone.or(sim.placement.is_none().then_some(sim.elapsed));
            sim.wait(wake.unwrap_or_default());
        }
        assert_eq!(gone.unwrap().saturating_sub(unbound.unwrap()), expect, "{servers} API servers");
    }
}

#[test]
fn the_usual_road_asks_nobody() {
    let mut sim = Sim::new();
    assert!(planned(&sim).writes() && !planned(&sim).confirm, "a new Compute");
    sim.settle(SOON);
    sim.edit(|compute| compute.spec = Ok(spec("b")));
    assert!(planned(&sim).writes() && !planned(&sim).confirm, "an edit");
    sim.settle(SOON);
    sim.placement.as_mut().unwrap().spec["closed"] = true.into();
    assert!(planned(&sim).writes() && !planned(&sim).confirm, "a repair of what was changed");
    sim.settle(SOON);
    sim.edit(|compute| compute.deleting = true);
    assert!(planned(&sim).writes() && !planned(&sim).confirm, "a deletion");
}

#[test]
fn what_seems_to_know_more_is_not_undone_before_the_api_server_was_asked() {
    for kind in [Kind::Placement, Kind::Binding] {
        let mut sim = Sim::new();
        sim.settle(SOON);
        let of = |sim: &mut Sim, key: &str, value: &str| {
            sim.slot(kind).as_mut().unwrap().annotations.insert(key.into(), value.into());
        };
        let mut newer = spec("b");
        newer.description = Some("an older one than the child was written for".into());
        of(&mut sim, ANNOTATION_GENERATION, "2");
        assert!(!planned(&sim).writes(), "it is as wanted");
        sim.edit(|compute| compute.spec = Ok(newer));
        sim.compute.as_mut().unwrap().generation = 1;
        let edited = planned(&sim);
        assert_eq!((edited.writes(), edited.confirm), (true, kind == Kind::Placement), "a newer generation");

        let mut sim = Sim::new();
        sim.settle(SOON);
        of(&mut sim, ANNOTATION_OWNER_UID, "uid-2");
        for owner in &mut sim.slot(kind).as_mut().unwrap().owners {
            owner.uid = "uid-2".into();
        }
        assert!(planned(&sim).writes() && planned(&sim).confirm, "another incarnation");

        let mut sim = Sim::new();
        sim.settle(SOON);
        *sim.slot(kind) = None;
        assert!(planned(&sim).writes() && planned(&sim).confirm, "removed by somebody");
    }
}
