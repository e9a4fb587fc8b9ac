//! What the help of a verb shows to be typed.

use crate::view::talk::Voice;

pub(super) const GET: &str = "Examples:
  dataos-ctl get -t compute                                   # your own
  dataos-ctl get -t compute -a --status error --output wide   # what is wrong, whoever owns it
  dataos-ctl get -t compute -n query-default -d               # its manifest and status
  dataos-ctl get -t compute -a --output json | jq '.[].metadata.name'";

pub(super) const APPLY: &str = "Examples:
  dataos-ctl apply -f compute.yaml --lint          # what is wrong with it; no cluster is asked
  dataos-ctl apply -f compute.yaml --diff          # what would change, and for which nodes
  dataos-ctl apply -f compute.yaml --wait          # until it is active, or cannot become so
  dataos-ctl apply -R -f computes/ --output json   # each of a folder, and what became of it";

pub(super) const CREATE: &str = "Examples:
  dataos-ctl create -f compute.yaml --wait
  dataos-ctl develop generate -n reports | dataos-ctl create -f - --dry-run=server";

pub(super) const UPDATE: &str = "Examples:
  dataos-ctl update -f compute.yaml --diff
  dataos-ctl update -f compute.yaml --wait --timeout 2m";

pub(super) const DELETE: &str = "Examples:
  dataos-ctl delete -t compute -n reports          # waits until it is gone
  dataos-ctl delete -f compute.yaml --wait=false
  dataos-ctl delete -t compute -n reports --force  # in use or not; its users run on
  dataos-ctl delete --selector team=reports --dry-run=server";

pub(super) const WAIT: &str = "Examples:
  dataos-ctl wait -n reports                       # until it is active, or cannot become so
  dataos-ctl wait -n reports --for deleted --timeout 5m
  dataos-ctl wait --all --while status=pending     # until each is active or in error
  dataos-ctl wait -f compute.yaml --for condition=PoolReady";

pub(super) const JQ: &str = "Examples:
  dataos-ctl jq -f compute.yaml --filter .compute.nodePool.nodeSelector
  dataos-ctl get -t compute -a --output json | dataos-ctl jq -f - --raw --filter '.[].metadata.name'";

pub(super) const KUBECTL_GET: &str = "Examples:
  kubectl poros get computes
  kubectl poros get computes --watch
  kubectl poros get compute query-default -o yaml
  kubectl poros get computes -o custom-columns=NAME:.metadata.name,STAGE:.status.stage";

pub(super) const KUBECTL_WAIT: &str = "Examples:
  kubectl poros wait compute/reports               # until it is active, or cannot become so
  kubectl poros wait compute/reports --for=delete --timeout=5m
  kubectl poros wait computes --all --for=condition=Ready
  kubectl poros wait -f compute.yaml --for=stage=built";

pub(super) fn pod(voice: Voice) -> &'static str {
    match voice {
        Voice::Dataos => {
            "Examples:
  dataos-ctl explain pod data/etl-7                # a pod of the namespace data
  dataos-ctl explain pod --namespace data etl-7    # the same
  dataos-ctl explain pod -f deployment.yaml        # the pods that it would make, by a dry run
  kubectl get deploy etl -o yaml | dataos-ctl explain pod -f -"
        }
        Voice::Kubectl => {
            "Examples:
  kubectl poros explain pod data/etl-7             # a pod of the namespace data
  kubectl poros explain pod -n data etl-7          # the same
  kubectl poros explain pod -f deployment.yaml     # the pods that it would make, by a dry run
  kubectl get deploy etl -o yaml | kubectl poros explain pod -f -"
        }
    }
}

pub(super) fn compute(voice: Voice) -> &'static str {
    match voice {
        Voice::Dataos => {
            "Examples:
  dataos-ctl explain compute query-default
  dataos-ctl explain compute query-default -f changed.yaml    # what applying it would do
  dataos-ctl explain compute -f new.yaml --output json"
        }
        Voice::Kubectl => {
            "Examples:
  kubectl poros explain compute query-default
  kubectl poros explain compute query-default -f changed.yaml  # what applying it would do
  kubectl poros explain compute -f new.yaml -o json"
        }
    }
}
