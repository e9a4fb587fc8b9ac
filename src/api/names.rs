//! Every name, label, annotation, finalizer and field manager: the one leaf file that all rooms may read.

/// The API group of Poros.
pub const GROUP: &str = "poros.dataos.io";
/// The served and stored version.
pub const VERSION: &str = "v1beta1";
/// The version as the reference's tools write it.
pub const VERSION_SHOWN: &str = "v1beta";
/// `apiVersion` of a Compute and of a Placement.
pub const API_VERSION: &str = "poros.dataos.io/v1beta1";

/// On a pod: the Compute that it names. On a child: the Compute that it was built for.
pub const LABEL_COMPUTE: &str = "poros.dataos.io/compute";
/// The recommended Kubernetes label for the tool that manages an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`LABEL_MANAGED_BY`] on all that Poros builds.
pub const MANAGED_BY: &str = "poros";

/// The recommended Kubernetes label for what an object is a part of. Whatever installs the shared objects may call itself
/// their manager (Helm does), so people select them by this one.
pub const LABEL_PART_OF: &str = "app.kubernetes.io/part-of";
/// The value of [`LABEL_PART_OF`] on all that is installed.
pub const PART_OF: &str = "poros";

/// On a pod, set by admission: `<compute>/<revision>` of the Placement that placed it.
pub const MARK_PLACED_BY: &str = "poros.dataos.io/placed-by";
/// On a pod, set by admission: the Placement takes no new pods.
pub const MARK_CLOSED: &str = "poros.dataos.io/closed";
/// On a pod, set by admission: the selector keys on which pod and pool differ.
pub const MARK_CONFLICT: &str = "poros.dataos.io/conflict";

/// On a namespace: the Compute of its pods that name none, where that is installed.
pub const LABEL_DEFAULT_COMPUTE: &str = "poros.dataos.io/default-compute";

/// On a child: the uid of the Compute incarnation that it was built for.
pub const ANNOTATION_OWNER_UID: &str = "poros.dataos.io/owner-uid";
/// On a child: a hash of the content that was applied.
pub const ANNOTATION_CONTENT_HASH: &str = "poros.dataos.io/content-hash";
/// On a child: the version of the way in which [`ANNOTATION_CONTENT_HASH`] is made.
pub const ANNOTATION_HASH_VERSION: &str = "poros.dataos.io/hash-version";
/// On a child: the generation of the Compute that it was written for. Who knows an older one only has old news.
pub const ANNOTATION_GENERATION: &str = "poros.dataos.io/compute-generation";
/// On a shared policy: the version of its text, so that a newer chart is told from an altered policy.
pub const ANNOTATION_POLICY_VERSION: &str = "poros.dataos.io/policy-version";

/// For people, on a Compute: Poros writes nothing for it while this is present.
pub const ANNOTATION_PAUSED: &str = "poros.dataos.io/paused";
/// For people, on a Compute: it may be deleted although it is in use.
pub const ANNOTATION_DELETE_IN_USE: &str = "poros.dataos.io/delete-in-use";

/// Held on a Compute until all that was built for it is gone.
pub const FINALIZER: &str = "poros.dataos.io/cleanup";

/// Field manager of the children and the shared policies.
pub const MANAGER_BUILDER: &str = "poros-builder";
/// Field manager of the status.
pub const MANAGER_STATUS: &str = "poros-status";

/// Field manager of what people apply with `dataos-ctl`.
pub const MANAGER_CTL: &str = "dataos-ctl";

/// Who tells events: `reportingController`.
pub const REPORTING_CONTROLLER: &str = "poros.dataos.io/poros";
/// Where events about a Compute are: the API server takes those about cluster-scoped objects here alone.
pub const EVENT_NAMESPACE: &str = "default";
/// Field manager of the Lease.
pub const MANAGER_LEADER: &str = "poros-leader";

/// The Lease, in the namespace of Poros, that its leader holds.
pub const LEASE: &str = "poros";

/// Shared policy that places pods; each Compute's binding refers to it.
pub const POLICY_PLACEMENT: &str = "placement.poros.dataos.io";
/// Shared policy that removes marks from what a user sent.
pub const POLICY_MARKS: &str = "marks.poros.dataos.io";
/// Shared policy that refuses pods without a fitting mark.
pub const POLICY_PLACED: &str = "placed.poros.dataos.io";
/// Shared policy that refuses to delete a Compute in use.
pub const POLICY_IN_USE: &str = "in-use.poros.dataos.io";
/// Shared policy that sets finalizer and owner of a Compute.
pub const POLICY_COMPUTES: &str = "computes.poros.dataos.io";

/// Shared policy that refuses to change label and marks of a pod.
pub const POLICY_LABELS: &str = "labels.poros.dataos.io";
/// Shared policy that keeps everybody but Poros from writing Placements.
pub const POLICY_BUILDER: &str = "builder.poros.dataos.io";
/// Shared policy that limits what Poros's own account may do.
pub const POLICY_ACCOUNT: &str = "account.poros.dataos.io";
/// Shared policy that warns of workloads that are half labelled.
pub const POLICY_WORKLOADS: &str = "workloads.poros.dataos.io";
/// Optional shared policy that asks for the verb [`VERB_USE`].
pub const POLICY_USE: &str = "use.poros.dataos.io";
/// Optional shared policy that gives pods the Compute of their namespace.
pub const POLICY_DEFAULTS: &str = "defaults.poros.dataos.io";

/// RBAC verb on Placements: who has it writes them. Poros's role has it, and who may do everything.
pub const VERB_BUILD: &str = "build";
/// RBAC verb on Computes: who has it can name another owner than who asks.
pub const VERB_ASSIGN_OWNER: &str = "assign-owner";
/// RBAC verb on Computes: a pod whose service account has it may name them, where that is asked for.
pub const VERB_USE: &str = "use";
/// The MutatingWebhookConfiguration by which the API server calls Poros, where it has no MutatingAdmissionPolicy.
pub const WEBHOOK: &str = "poros.dataos.io";
/// Name of its webhook for pods.
pub const WEBHOOK_PODS: &str = "pods.poros.dataos.io";
/// Name of its webhook for pods of the namespaces that are exempt in the chart, where nobody has to answer.
pub const WEBHOOK_EXEMPT: &str = "exempt.poros.dataos.io";
/// Name of its webhook for Computes.
pub const WEBHOOK_COMPUTES: &str = "computes.poros.dataos.io";
/// The Service in front of the webhook, in the namespace of Poros, where a chart installs it.
pub const WEBHOOK_SERVICE: &str = "poros-webhook";
/// The Secret with the certificates of the webhook, in the namespace of Poros.
pub const WEBHOOK_SECRET: &str = "poros-webhook";

/// The API group of admission policies and their bindings.
pub const ADMISSION_GROUP: &str = "admissionregistration.k8s.io";

/// The role, in the whole cluster, that lets people see Computes, what Poros built for them, and nodes.
pub const ROLE_VIEW: &str = "poros-view";
/// The role, in the whole cluster, that lets people see the same, and change Computes.
pub const ROLE_EDIT: &str = "poros-edit";

/// Service account of Poros, and the name of its roles, where a chart installs it.
pub const SERVICE_ACCOUNT: &str = "poros";
/// The role by which Poros writes events. It has a name of its own: the namespace of Poros may be the one of events.
pub const EVENTS_ROLE: &str = "poros-events";
/// Service account of the dry-run pod that proves a placement.
pub const PROBE_SERVICE_ACCOUNT: &str = "poros-probe";
/// Name prefix of the dry-run pod that proves a placement.
pub const PROBE_PREFIX: &str = "poros-probe-";

/// The longest name of a Compute: what `dataos-ctl` allows.
pub const NAME_MAX: u32 = 48;
/// What the name of a Compute looks like.
pub const NAME_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The name of the binding that is built for a Compute.
///
/// A Compute's name has no dot and the shared objects' names have, so the two never meet.
pub fn binding_name(compute: &str) -> String {
    format!("poros-{compute}")
}

/// The Compute that a binding of this name would belong to.
pub fn compute_of_binding(binding: &str) -> Option<&str> {
    binding.strip_prefix("poros-").filter(|name| !name.is_empty() && !name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_leads_back_to_its_compute_and_shared_objects_to_none() {
        assert_eq!(compute_of_binding(&binding_name("query-default")), Some("query-default"));
        assert_eq!(compute_of_binding(POLICY_PLACED), None);
        assert_eq!(compute_of_binding("poros-"), None);
        assert_eq!(compute_of_binding("poros-a.b"), None);
    }
}
