//! The table of faults, row by row. `docs/faults.md` is made from it, and `kubectl poros explain` tells it.

use crate::decide::fault::{Blame, Category, Row, Step};

/// What becomes of pods while the spec is not in force.
pub const STAYS: &str = "placed as before; refused while no revision was ever in force";

impl Category {
    /// The row of the table.
    #[allow(clippy::too_many_lines)] // a table
    pub fn row(self) -> Row {
        use Blame::{AfterBuild, AsBefore, ByRule, InBuild};
        const SEE: (&str, &str) = ("read what is wrong", "kubectl describe compute NAME");
        const EDIT: (&str, &str) = ("mend the field that the text names", "kubectl edit compute NAME");
        let unknown = Some("Unknown");
        match self {
            Self::Undecodable => Row {
                step: Step::Observe,
                blame: InBuild,
                what: "The stored Compute does not fit the types of this Poros: it was stored under another schema.",
                verified: unknown,
                pool_ready: unknown,
                pods: STAYS,
                healed_by: "an edit, or a Poros that knows the stored fields",
                to_do: &[
                    ("see what is stored", "kubectl get compute NAME -o yaml"),
                    EDIT,
                    (
                        "or install the CRDs of the Poros that runs",
                        "poros crd | kubectl apply --server-side -f -",
                    ),
                ],
            },
            Self::InvalidSpec => Row {
                step: Step::Validate,
                blame: InBuild,
                what: "The spec breaks a rule that the schema holds for new objects: it was stored under an older one.",
                verified: unknown,
                pool_ready: unknown,
                pods: STAYS,
                healed_by: "an edit",
                to_do: &[SEE, EDIT],
            },
            Self::UnknownDataplane => Row {
                step: Step::Validate,
                blame: InBuild,
                what: "spec.dataplane names another cluster than the one that this Poros runs for.",
                verified: unknown,
                pool_ready: unknown,
                pods: STAYS,
                healed_by: "an edit",
                to_do: &[
                    SEE,
                    (
                        "name this cluster, if the Compute is meant for it (the text says how it is called)",
                        "kubectl edit compute NAME",
                    ),
                    ("or take the Compute away here, and apply it there", "kubectl delete compute NAME"),
                ],
            },
            Self::NameTaken => Row {
                step: Step::Apply,
                blame: ByRule,
                what: "An object that Poros did not build has the name of one that it is to build. It is never taken over.",
                verified: unknown,
                pool_ready: None,
                pods: "placed while the binding of Poros stands",
                healed_by: "removing or renaming the other object",
                to_do: &[
                    SEE,
                    (
                        "look at the objects of that name, and whose they are",
                        "kubectl get placement/NAME mutatingadmissionpolicybinding/poros-NAME --show-managed-fields -o yaml",
                    ),
                    (
                        "remove the one that is not of Poros, if nobody needs it",
                        "kubectl delete mutatingadmissionpolicybinding poros-NAME",
                    ),
                ],
            },
            Self::Forbidden => Row {
                step: Step::Apply,
                blame: ByRule,
                what: "Poros lacks a permission that it needs to build.",
                verified: unknown,
                pool_ready: None,
                pods: STAYS,
                healed_by: "granting the verb that the text names",
                to_do: &[
                    SEE,
                    (
                        "see what the role of Poros grants, and apply it again where it was cut",
                        "kubectl describe clusterrole poros",
                    ),
                ],
            },
            Self::ApplyFailed => Row {
                step: Step::Apply,
                blame: ByRule,
                what: "The API server does not do what it is asked: it is not reached, or it refuses for the reason in the text.",
                verified: unknown,
                pool_ready: None,
                pods: STAYS,
                healed_by: "an API server that answers; retried with backoff",
                to_do: &[
                    SEE,
                    ("see whether the API server is well", "kubectl get --raw '/readyz?verbose'"),
                    (
                        "see what else has a say in these objects",
                        "kubectl get validatingadmissionpolicies,validatingwebhookconfigurations",
                    ),
                ],
            },
            Self::PolicyMissing => Row {
                step: Step::Prove,
                blame: ByRule,
                what: "A shared admission policy, which every placement goes through, is absent or was altered.",
                verified: None,
                pool_ready: None,
                pods: "as the API server's remaining policies say",
                healed_by: "applying the shared policies again",
                to_do: &[
                    SEE,
                    (
                        "apply the shared policies again, with the --namespace and the options that they were installed with (below Kubernetes 1.36 with --validating-only; the registration of the webhook comes with the chart or --manage-policies)",
                        "poros policies | kubectl apply --server-side --force-conflicts -f -",
                    ),
                ],
            },
            Self::ProofMismatch => Row {
                step: Step::Prove,
                blame: InBuild,
                what: "A dry-run pod that names the Compute did not come back placed as the Compute says: another policy or webhook changes pods.",
                verified: Some("False"),
                pool_ready: None,
                pods: "placed by the last proven revision, which is put back; refused when there is none",
                healed_by: "an edit, or mending the policy or webhook that changes the pod; retried with backoff",
                to_do: &[
                    SEE,
                    (
                        "find who else changes pods",
                        "kubectl get mutatingadmissionpolicybindings,mutatingwebhookconfigurations",
                    ),
                    (
                        "mend or scope that one, or edit the pool so that the two agree",
                        "kubectl edit compute NAME",
                    ),
                ],
            },
            Self::ProofBlocked => Row {
                step: Step::Prove,
                blame: AsBefore,
                what: "The proof could not be made: something else refuses the dry-run pod.",
                verified: unknown,
                pool_ready: None,
                pods: "placed",
                healed_by: "mending the quota, webhook or account that the text names; retried with backoff",
                to_do: &[
                    SEE,
                    (
                        "look at the namespace in which proofs are made",
                        "kubectl get resourcequotas,limitranges,serviceaccounts -n poros-system",
                    ),
                    (
                        "look for webhooks that refuse pods there",
                        "kubectl get validatingwebhookconfigurations",
                    ),
                ],
            },
            Self::Contended => Row {
                step: Step::Repair,
                blame: AfterBuild,
                what: "Another writer undoes each repair of what Poros built.",
                verified: None,
                pool_ready: None,
                pods: "placed while the repair holds",
                healed_by: "stopping the other writer",
                to_do: &[
                    (
                        "see which field manager writes them",
                        "kubectl get placement/NAME mutatingadmissionpolicybinding/poros-NAME --show-managed-fields -o yaml",
                    ),
                    (
                        "or stop Poros for this Compute, while you look for it",
                        "kubectl annotate compute NAME poros.dataos.io/paused=true",
                    ),
                ],
            },
            Self::NoNodesMatch => Row {
                step: Step::Pool,
                blame: AfterBuild,
                what: "No node carries the labels of spec.nodePool.nodeSelector.",
                verified: None,
                pool_ready: Some("False"),
                pods: "placed; they wait as Pending until a node fits",
                healed_by: "a node of the pool that is ready",
                to_do: &[
                    ("see why no node matches", "kubectl poros explain compute NAME"),
                    ("label nodes as the selector says", "kubectl label node NODE KEY=VALUE"),
                    (
                        "or say that the pool grows from nothing",
                        "kubectl patch compute NAME --type merge -p '{\"spec\":{\"nodePool\":{\"minReadyNodes\":0}}}'",
                    ),
                ],
            },
            Self::NoReadyNodes => Row {
                step: Step::Pool,
                blame: AfterBuild,
                what: "Nodes carry the labels of the selector, but fewer of them are ready than spec.nodePool.minReadyNodes asks for.",
                verified: None,
                pool_ready: Some("False"),
                pods: "placed; they wait as Pending until a node fits",
                healed_by: "a node of the pool that is ready",
                to_do: &[
                    (
                        "see which nodes match, and what speaks against them",
                        "kubectl poros explain compute NAME",
                    ),
                    ("see why a node is not ready", "kubectl describe node NODE"),
                ],
            },
            Self::Internal => Row {
                step: Step::Any,
                blame: AsBefore,
                what: "A bug in Poros: a pass over this Compute failed in a way that nobody foresaw.",
                verified: None,
                pool_ready: None,
                pods: "as before",
                healed_by: "a fixed Poros; please report it. Retried with backoff",
                to_do: &[(
                    "find the message in the log of Poros, and report it",
                    "kubectl logs -n poros-system deployment/poros",
                )],
            },
        }
    }
}
