//! A first manifest, to be edited: each field with what it means and what it takes.

use serde_json::json;

use crate::decide::judge::judge;
use crate::decide::problem::Problem;
use crate::view::manifest::scalar;

/// A native manifest of a Compute of this type, version and name; or what is wrong with these three.
pub fn native(of_type: &str, version: &str, name: &str) -> Result<String, Vec<Problem>> {
    let problems = judge(&json!({
        "name": name, "version": version, "type": of_type,
        "compute": {"purpose": "runnable", "nodePool": {"nodeSelector": {"a": "b"}}},
    }))
    .problems;
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(TEXT.replace("NAME", &scalar(name)).replace("VERSION", version).replace("TYPE", of_type))
}

const TEXT: &str = "\
# A Compute gives a pool of nodes a name. A pod with the label poros.dataos.io/compute and this name runs there.
# Check it with `dataos-ctl apply -l -f FILE`, see what it would do with `dataos-ctl apply --diff -f FILE`.
name: NAME # a-z, 0-9 and '-'; at most 48 characters
version: VERSION
type: TYPE
layer: user # whose it is: user or system
description: What runs here, and who to ask
tags:
- example
compute:
  dataplane: hub # the cluster that it is for
  purpose: runnable # what for: runnable (workflows, services, workers), query or gpu
  nodePool:
    # The nodes of the pool carry all of these labels: kubectl get nodes -L dataos.io/purpose
    nodeSelector:
      dataos.io/purpose: runnable
    # Taints of these nodes that its pods tolerate: kubectl describe node. Leave it out if they have none.
    tolerations:
    - key: dedicated
      operator: Equal # Equal: key and value are the taint's; Exists: the key is, and there is no value
      value: runnable
      effect: NoSchedule # NoSchedule, PreferNoSchedule or NoExecute; left out: all of them
    minReadyNodes: 1 # it is active when so many nodes are ready; 0 for a pool that an autoscaler grows from nothing
  progressDeadlineSeconds: 300 # it may be pending for so long, then that is an error
  deletionPolicy: Block # Block: it cannot be deleted while pods use it; Detach: they run on
";
