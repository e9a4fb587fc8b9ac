//! The resources that Poros reads and writes, as the dynamic client names them.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::{GroupVersionKind, PartialObjectMeta};

use crate::api::names::{ADMISSION_GROUP, GROUP, VERSION};
use crate::decide::manifest::Kind;
use crate::decide::policies::SharedKind;
use crate::world::project::{WireJob, WireNode, WirePod};
use crate::world::users::WorkloadKind;

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// Computes, undecoded: one that does not fit our types degrades itself alone.
pub fn computes(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &resource(GROUP, VERSION, "Compute", "computes"))
}

/// Placements or bindings.
pub fn children(client: &Client, kind: Kind) -> Api<DynamicObject> {
    let resource = match kind {
        Kind::Placement => resource(GROUP, VERSION, kind.kind(), kind.plural()),
        Kind::Binding => resource(ADMISSION_GROUP, "v1", kind.kind(), kind.plural()),
    };
    Api::all_with(client.clone(), &resource)
}

/// Admission policies or their bindings.
pub fn shared(client: &Client, kind: SharedKind) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &resource(ADMISSION_GROUP, "v1", kind.kind(), kind.plural()))
}

/// Nodes, without what Poros never reads.
pub fn nodes(client: &Client) -> Api<WireNode> {
    Api::all_with(client.clone(), &ApiResource::erase::<Node>(&()))
}

/// Pods, metadata only.
pub fn pods(client: &Client) -> Api<PartialObjectMeta<Pod>> {
    Api::all(client.clone())
}

/// Pods with what they request, without what Poros never reads.
pub fn scheduled(client: &Client) -> Api<WirePod> {
    Api::all_with(client.clone(), &ApiResource::erase::<Pod>(&()))
}

/// Jobs with what they say of their end, without what Poros never reads.
pub fn jobs(client: &Client) -> Api<WireJob> {
    Api::all_with(client.clone(), &ApiResource::erase::<Job>(&()))
}

/// Workloads, metadata only.
pub fn workloads(client: &Client, kind: WorkloadKind) -> Api<PartialObjectMeta<DynamicObject>> {
    let resource = resource(kind.group(), "v1", kind.kind(), kind.plural());
    Api::all_with(client.clone(), &resource)
}

/// Pods of a namespace, undecoded.
pub fn pods_in(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()))
}

/// Leases of a namespace, undecoded: what somebody wrote into ours is to harm nobody.
pub fn leases(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Lease>(&()))
}

/// `EndpointSlice`s of the namespace in which the API servers name themselves.
pub fn endpoint_slices(client: &Client) -> Api<EndpointSlice> {
    Api::namespaced(client.clone(), "default")
}

/// Any kind of the core group.
pub fn core(client: &Client, namespace: Option<&str>, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = resource("", "v1", kind, plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
