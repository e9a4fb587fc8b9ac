//! Built objects as they are kept. One that is as Poros writes it takes little: the rest of it follows.

use serde_json::Value;

use crate::decide::manifest::{Kind, Manifest};
use crate::decide::observed::Child;

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
    use serde_json::json;

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
