//! Poros killed (SIGKILL) between any two writes: before a write, after its commit, after its reply; for each write of
//! a build, an edit, a repair and a delete. The next Poros must come to the end of the undisturbed run, by the same road.
//! By default one of the three points for each write, in turn; all of them with the slow tests.

pub(crate) mod plan;

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt as _;
use kube::api::ListParams;
use serde_json::Value;

use crate::harness::all;
use crate::harness::objects::{bindings, placements};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::proxy::Point;
use crate::harness::proxy::stage::Stage;
use crate::trials;
use plan::{Run, Workflow, run};

trials![
    a_build_killed_at_any_write_comes_to_the_same_end,
    a_build_without_a_finalizer_killed_at_any_write_comes_to_the_same_end,
    an_edit_killed_at_any_write_comes_to_the_same_end,
    a_repair_of_a_placement_killed_at_any_write_comes_to_the_same_end,
    a_repair_of_a_binding_killed_at_any_write_comes_to_the_same_end,
    a_delete_killed_at_any_write_comes_to_the_same_end,
];

/// The points at which Poros is killed in its n-th write of a workflow, from 1.
fn points(workflow: Workflow, write: u32) -> &'static [Point] {
    if all() {
        return &Point::ALL;
    }
    // Each workflow begins at another one, so that the first writes meet all three.
    let turn = (write as usize + workflow as usize) % Point::ALL.len();
    &Point::ALL[turn..=turn]
}

async fn a_build_killed_at_any_write_comes_to_the_same_end() {
    campaign(Workflow::Build).await;
}

async fn a_build_without_a_finalizer_killed_at_any_write_comes_to_the_same_end() {
    campaign(Workflow::Unheld).await;
}

async fn an_edit_killed_at_any_write_comes_to_the_same_end() {
    campaign(Workflow::Edit).await;
}

async fn a_repair_of_a_placement_killed_at_any_write_comes_to_the_same_end() {
    campaign(Workflow::Changed).await;
}

async fn a_repair_of_a_binding_killed_at_any_write_comes_to_the_same_end() {
    campaign(Workflow::Unbound).await;
}

async fn a_delete_killed_at_any_write_comes_to_the_same_end() {
    campaign(Workflow::Delete).await;
}

/// All plans of a workflow, one after another; the next Poros of one is the first Poros of the one after it.
async fn campaign(workflow: Workflow) {
    let begin = Instant::now();
    let stage = Stage::new().await;
    let word = workflow.word();
    let (poros, reference) = run(&stage, next(&stage), workflow, &format!("{word}-whole"), None).await;
    drop(poros);
    println!("{word}: an undisturbed run makes {} writes", reference.writes.len());
    assert!(reference.writes.len() >= workflow.least_writes(), "{:?}", reference.writes);
    let (mut standing, mut plans, mut shorter, mut failed) = (None, 0, 0, Vec::new());
    for write in 1..=u32::try_from(reference.writes.len()).unwrap() {
        for point in points(workflow, write) {
            plans += 1;
            let title = format!("{word}: killed at write {write} ({}), {point:?}", reference.write(write));
            let poros = standing.take().unwrap_or_else(|| next(&stage));
            let name = format!("{word}-{write}-{}", format!("{point:?}").to_lowercase());
            let plan = run(&stage, poros, workflow, &name, Some((write, *point)));
            // One failed plan says less than the list of all that fail.
            match AssertUnwindSafe(plan).catch_unwind().await {
                Ok((poros, run)) => {
                    standing = Some(poros);
                    failed.extend(differences(&reference, &run).map(|found| format!("{title}: {found}")));
                    failed.extend(unmet(&run, workflow, write, &title));
                    shorter += usize::from(!run.met);
                }
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
                    failed.push(format!("{title}: {text}"));
                    stage.proxy.clear();
                }
            }
        }
    }
    println!("{word}: {plans} plans, {} failed, {:.0} s", failed.len(), begin.elapsed().as_secs_f64());
    assert!(shorter <= 1, "{shorter} of {plans} plans ended before their write: they show nothing");
    assert!(failed.is_empty(), "of {plans} plans these failed:\n{}", failed.join("\n"));
    drop(standing);
    nothing_is_left(&stage, &format!("{word}-")).await;
}

/// The next Poros: it finds the policies installed, and writes nothing that the plan did not call for.
pub(crate) fn next(stage: &Stage) -> Poros {
    let poros = stage.launch(&SHORT);
    poros.await_ready(READY);
    poros
}

/// What is wrong with a run that ended before its n-th write. Nothing, if a shorter run would do: the undisturbed one may
/// have told in two statuses what this one told in one.
pub(crate) fn unmet(run: &Run, workflow: Workflow, n: u32, title: &str) -> Option<String> {
    let told = format!("{title}: the run ended before that write");
    if run.met {
        return None;
    }
    if n as usize > workflow.least_writes() {
        println!("{told}");
        return None;
    }
    Some(told)
}

/// What a run did otherwise than the undisturbed one.
pub(crate) fn differences(reference: &Run, run: &Run) -> impl Iterator<Item = String> {
    let facts = [("the end", &reference.end, &run.end), ("creates and deletes", &reference.road, &run.road)];
    let writes: Vec<String> = run.writes.iter().map(ToString::to_string).collect();
    let found: Vec<String> = facts
        .into_iter()
        .filter(|(_, expect, found)| expect != found)
        .map(|(what, expect, found)| format!("{what}: {}", first_difference("", expect, found)))
        .map(|difference| format!("{difference}; it wrote\n{}", writes.join("\n")))
        .collect();
    found.into_iter()
}

/// The first field in which two values differ.
fn first_difference(path: &str, expect: &Value, found: &Value) -> String {
    if let (Value::Object(expect), Value::Object(found)) = (expect, found) {
        let keys = expect.keys().chain(found.keys());
        let of =
            |side: &serde_json::Map<String, Value>, key: &String| side.get(key).cloned().unwrap_or_default();
        let differs = keys.into_iter().find(|key| of(expect, key) != of(found, key));
        if let Some(key) = differs {
            return first_difference(&format!("{path}/{key}"), &of(expect, key), &of(found, key));
        }
    }
    format!("{path} is {found}, not {expect}")
}

/// Every run ended with a delete, so nothing that Poros built may stand.
pub(crate) async fn nothing_is_left(stage: &Stage, of: &str) {
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=poros");
    for api in [placements(&stage.client), bindings(&stage.client)] {
        let left = api.list(&ours).await.unwrap().items;
        let names = left.iter().filter_map(|object| object.metadata.name.as_ref());
        let names: Vec<_> = names.filter(|name| name.trim_start_matches("poros-").starts_with(of)).collect();
        assert!(names.is_empty(), "left behind: {names:?}");
    }
}
