//! `cargo xtask demo`.

use std::path::Path;

use xtask::assets::{Plan, Settings, Work};
use xtask::demo::Story;
use xtask::report::{Report, Terminal};
use xtask::rig::{Options, Rig, free_port};
use xtask::signals;

use super::{Ended, quoted, say};
use poros::Poros;

mod computes;
mod deletes;
mod edits;
mod faults;
mod nodes;
mod pods;
mod poros;
mod seen;

/// How the demo ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// End after the last step; exit code 0 only if every step held
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Ended {
    say("Poros turns a pool of nodes into a name that pods can rely on. Here it does so on a real control\n\
         plane, all of it on this machine; no cluster of yours is touched.\n");
    let mut report = Terminal::new();
    // Before minutes of other work.
    Work::Image.is_possible()?;
    let settings = Settings::from_environment();
    let plan = Plan::make(&settings)?;
    if !plan.is_complete() {
        report.line(&plan.table().text());
    }
    let assets = plan.carry_out(&settings, &mut report)?;
    let built = poros::build()?;
    signals::listen()?;
    let rig = Rig::start_with(Options::whole("demo"), assets, &mut report)?;
    let programs = poros::folder(&built, &rig)?;
    let poros = Poros { program: built.path(), port: free_port()? };
    let usage = usage(&rig, &poros, &programs);
    Ok(play(Story::new(rig, programs), &poros).end(arguments.once, &usage)?)
}

/// The story, step by step.
fn play(mut story: Story, poros: &Poros) -> Story {
    story.step("Five nodes join it, in two pools", nodes::join);
    story.step("It learns what a Compute is", computes::define);
    story.step("Poros runs beside it", |scene| poros.run(scene));
    story.step("Two manifests give the two pools a name", computes::apply);
    story.step("Both are active, and proven to place pods", computes::are_active);
    story.step("A Deployment names a Compute, and its pods land on that pool", pods::land);
    story.step("A pod that waits is explained, node by node", pods::explain);
    story.step("A pool breaks, and its Compute says so", nodes::break_pool);
    story.step("The pool heals, and so does its Compute", nodes::heal_pool);
    story.step("A manifest that cannot be built is told what is wrong with it", faults::apply_unbuildable);
    story.step("A pod that names it is refused", faults::refuse_pod);
    story.step("The manifest is mended, and the same pod is let in", faults::mend);
    story.step("A bad edit does not disturb what is in force", edits::spoil);
    story.step("The edit is taken back: active again, same revision", edits::take_back);
    story.step("Someone changes what Poros built: it says who, and puts it back", edits::drift);
    story.step("Someone deletes what Poros built, and it comes back", edits::remove);
    story.step("A Compute in use cannot be deleted", deletes::refuse);
    story.step("Once nothing uses it, it goes and leaves nothing behind", deletes::delete);
    story
}

/// What a stranger can do next, in a terminal that knows nothing yet.
fn usage(rig: &Rig, poros: &Poros, programs: &Path) -> String {
    format!(
        "
Now it is yours. In another terminal:

  export KUBECONFIG={}
  export PATH={}:$PATH

Look around:
  kubectl get computes -w
  kubectl describe compute reports
  kubectl poros why reports
  kubectl poros tree
  dataos-ctl get -t compute -a
  kubectl explain compute.spec.nodePool

Change things; the first brings query-default back:
  kubectl apply -f {}
  kubectl edit compute runnable-default
  kubectl run hello --image=nginx --labels=poros.dataos.io/compute=runnable-default
  kubectl delete node runnable-1 runnable-2

See Poros at work:
  tail -f {}
  curl http://127.0.0.1:{}/metrics

Ctrl-C stops everything.",
        quoted(rig.kubeconfig()),
        quoted(programs),
        quoted(&xtask::workspace::root().join("examples")),
        quoted(&poros::log(rig)),
        poros.port,
    )
}
