//! Every write of a build, an edit, a repair and a delete meets every fault that a write can meet, one at a time: the end
//! and the road there are those of the undisturbed run. Slow: several hundred runs, eight side by side.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _, stream};

use super::quiet;
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Body, Said};
use crate::kills::plan::{Workflow, run, suffer};
use crate::kills::{differences, next, nothing_is_left, unmet};
use crate::trials;

trials![;
    slow:
    any_fault_at_any_write_of_a_build_leads_to_the_same_end,
    any_fault_at_any_write_of_an_edit_leads_to_the_same_end,
    any_fault_at_any_write_of_a_repaired_placement_leads_to_the_same_end,
    any_fault_at_any_write_of_a_repaired_binding_leads_to_the_same_end,
    any_fault_at_any_write_of_a_delete_leads_to_the_same_end,
];

/// Runs at one time.
const SIDE_BY_SIDE: usize = 8;

/// What a write can meet, in words for names, and what it is.
fn faults() -> Vec<(String, Act)> {
    let mut faults = vec![
        ("lost".to_owned(), Act::LoseRequest),
        ("unheard".to_owned(), Act::LoseReply),
        ("half".to_owned(), Act::CutReply(100)),
        ("late".to_owned(), Act::HoldReply(Duration::from_secs(2))),
        ("never".to_owned(), Act::Hold(Duration::from_secs(60))),
        ("html".to_owned(), Act::Say(Said::garbage(Body::Text("<html>welcome</html>")))),
        ("empty".to_owned(), Act::Say(Said::garbage(Body::Text("{}")))),
        ("list".to_owned(), Act::Say(Said::garbage(Body::Text(r#"{"kind":"PodList","items":[]}"#)))),
        ("401".to_owned(), Act::Answer(401)),
        ("403".to_owned(), Act::Answer(403)),
        ("409".to_owned(), Act::Answer(409)),
        ("429".to_owned(), Act::Answer(429)),
    ];
    for code in [500, 502, 503, 504] {
        faults.push((code.to_string(), Act::Answer(code)));
        faults.push((format!("{code}-done"), Act::Say(Said { effect: true, ..Said::status(code) })));
    }
    faults
}

async fn any_fault_at_any_write_of_a_build_leads_to_the_same_end() {
    every_fault(Workflow::Build).await;
}

async fn any_fault_at_any_write_of_an_edit_leads_to_the_same_end() {
    every_fault(Workflow::Edit).await;
}

async fn any_fault_at_any_write_of_a_repaired_placement_leads_to_the_same_end() {
    every_fault(Workflow::Changed).await;
}

async fn any_fault_at_any_write_of_a_repaired_binding_leads_to_the_same_end() {
    every_fault(Workflow::Unbound).await;
}

async fn any_fault_at_any_write_of_a_delete_leads_to_the_same_end() {
    every_fault(Workflow::Delete).await;
}

async fn every_fault(workflow: Workflow) {
    let stage = &Stage::new().await;
    let (begin, word) = (Instant::now(), workflow.word());
    let (poros, reference) = run(stage, next(stage), workflow, &format!("f-{word}-whole"), None).await;
    let writes = u32::try_from(reference.writes.len()).unwrap();
    let plans = (1..=writes).flat_map(|n| faults().into_iter().map(move |fault| (n, fault)));
    let found: Vec<Vec<String>> = stream::iter(plans)
        .map(|(n, (fault, act))| {
            let reference = &reference;
            async move {
                let title = format!("{word}: {fault} at write {n} ({})", reference.write(n));
                let name = format!("f-{word}-{n}-{fault}");
                match AssertUnwindSafe(suffer(stage, workflow, &name, n, act)).catch_unwind().await {
                    Ok(run) => {
                        let found = differences(reference, &run).map(|found| format!("{title}: {found}"));
                        found.chain(unmet(&run, workflow, n, &title)).collect()
                    }
                    Err(panic) => {
                        let text = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
                        vec![format!("{title}: {text}")]
                    }
                }
            }
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    let (runs, failed) = (found.len(), found.into_iter().flatten().collect::<Vec<_>>());
    println!("{word}: {runs} runs, {} failed, {:.0} s", failed.len(), begin.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "of {runs} runs these failed:\n{}", failed.join("\n"));
    nothing_is_left(stage, &format!("f-{word}-")).await;
    assert_eq!(poros.get("/readyz").unwrap().0, 200);
    quiet::holds(stage, Duration::from_secs(120)).await;
}
