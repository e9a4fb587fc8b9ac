//! kstatus by its published rules (kubernetes-sigs/cli-utils, `pkg/kstatus`), for objects without rules of their kind.

mod recorder;

pub use recorder::{record, seen, verdict};

use poros::api::compute::Compute;
