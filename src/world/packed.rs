//! Built objects as they are kept. One that is as Poros writes it takes little: the rest of it follows.

use serde_json::Value;

use crate::api::placement::PlacementSpec;
use crate::decide::admission;
use crate::decide::manifest::{Kind, Manifest};
use crate::decide::observed::{Child, Compute};

/// A built object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Packed {
    /// As Poros writes it.
    Written(Written),
    /// As others left it.
    Altered(Box<Child>),
}

/// What an object that is as Poros writes it does not have in common with all others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    uid: Box<str>,
    resource_version: Box<str>,
    owner_uid: Box<str>,
    generation: i64,
    /// The spec of a Placement, as JSON; that of a binding follows from its name.
    spec: Option<Box<str>>,
}

impl Packed {
    /// Packs the object of this kind of the Compute of this name.
    pub(super) fn of(kind: Kind, compute: &str, child: Child) -> Self {
        let written = Written {
            uid: child.uid.as_str().into(),
            resource_version: child.resource_version.as_str().into(),
            owner_uid: child.owner_uid().into(),
            generation: child.generation(),
            spec: match kind {
                Kind::Placement => Some(child.spec.to_string().into()),
                Kind::Binding => None,
            },
        };
        if written.child(compute) == child { Self::Written(written) } else { Self::Altered(Box::new(child)) }
    }

    /// The whole object.
    pub(super) fn child(&self, compute: &str) -> Child {
        match self {
            Self::Written(written) => written.child(compute),
            Self::Altered(child) => (**child).clone(),
        }
    }

    /// The Placement that is in force for this Compute, as [`admission::in_force`] has it. A pod waits for it: that one is
    /// as Poros writes it was found when it was packed.
    pub(super) fn in_force(&self, compute: &Compute) -> Option<PlacementSpec> {
        match self {
            Self::Written(written) => {
                let spec = written.spec.as_ref().filter(|_| *written.owner_uid == *compute.uid)?;
                serde_json::from_str(spec).ok().filter(|spec: &PlacementSpec| !spec.withdrawn)
            }
            Self::Altered(child) => admission::in_force(compute, child),
        }
    }

    /// `metadata.uid`.
    pub(super) fn uid(&self) -> &str {
        match self {
            Self::Written(written) => &written.uid,
            Self::Altered(child) => &child.uid,
        }
    }

    /// `metadata.resourceVersion`.
    pub(super) fn resource_version(&self) -> &str {
        match self {
            Self::Written(written) => &written.resource_version,
            Self::Altered(child) => &child.resource_version,
        }
    }
}

impl Written {
    fn child(&self, compute: &str) -> Child {
        let (kind, spec) = match &self.spec {
            Some(spec) => (Kind::Placement, serde_json::from_str(spec).unwrap_or(Value::Null)),
            None => (Kind::Binding, Manifest::binding_spec(compute)),
        };
        let manifest = Manifest::new(kind, compute, &self.owner_uid, self.generation, spec);
        manifest.stored(&self.uid, &self.resource_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::names::ANNOTATION_CONTENT_HASH;
    use crate::api::status::ComputeStatus;
    use serde_json::json;

    #[test]
    fn what_is_in_force_is_the_same_packed_or_not() {
        let compute = |uid: &str| Compute {
            name: "query".into(),
            uid: uid.into(),
            resource_version: "1".into(),
            generation: 7,
            deleting: false,
            finalizers: Vec::new(),
            paused: false,
            delete_in_use: false,
            spec: Err("not asked for".into()),
            status: ComputeStatus::default(),
        };
        let spec = |withdrawn: bool| json!({"revision": 3, "lastRevision": 3, "nodeSelector": {"pool": "a"}, "tolerations": [], "closed": false, "withdrawn": withdrawn});
        let written = |spec| Manifest::new(Kind::Placement, "query", "u-1", 7, spec).stored("u-2", "42");
        let altered = |change: fn(&mut Child)| {
            let mut child = written(spec(false));
            change(&mut child);
            child
        };
        let mut found = 0;
        for child in [
            written(spec(false)),
            written(spec(true)),
            written(json!({"revision": "none"})),
            altered(|child| child.deleting = true),
            altered(|child| child.spec["closed"] = json!(true)),
            altered(|child| drop(child.labels.insert("team".into(), "data".into()))),
            altered(|child| child.owners.clear()),
        ] {
            let packed = Packed::of(Kind::Placement, "query", child.clone());
            for uid in ["u-1", "u-3", ""] {
                let in_force = admission::in_force(&compute(uid), &child);
                found += u32::from(in_force.is_some());
                assert_eq!(packed.in_force(&compute(uid)), in_force, "{uid}: {child:?}");
            }
        }
        assert_eq!(found, 3, "as written, with another label, and without its owner");
    }

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        let spec = json!({"revision": 18_446_744_073_709_551_615_u64, "nodeSelector": {"pool": "a"}, "closed": false});
        for (kind, spec) in [(Kind::Placement, spec), (Kind::Binding, Manifest::binding_spec("query"))] {
            let written = Manifest::new(kind, "query", "u-1", 7, spec).stored("u-2", "42");
            let packed = Packed::of(kind, "query", written.clone());
            assert!(matches!(packed, Packed::Written(_)), "{kind:?}");
            assert_eq!((packed.child("query"), packed.uid()), (written.clone(), "u-2"));
            assert_eq!(packed.resource_version(), "42");
            let changes: [fn(&mut Child); 6] = [
                |child| child.deleting = true,
                |child| child.finalizers.push("example.com/hold".into()),
                |child| child.spec["closed"] = json!(true),
                |child| drop(child.labels.insert("team".into(), "data".into())),
                |child| drop(child.annotations.remove(ANNOTATION_CONTENT_HASH)),
                |child| child.owners.clear(),
            ];
            for (index, change) in changes.into_iter().enumerate() {
                let mut altered = written.clone();
                change(&mut altered);
                let packed = Packed::of(kind, "query", altered.clone());
                assert!(matches!(packed, Packed::Altered(_)), "{kind:?}: change {index}");
                assert_eq!(packed.child("query"), altered);
            }
        }
    }
}
