//! The wire types of `poros.dataos.io/v1beta1`, their schemas, and every name that Poros uses.

pub mod compute;
pub mod crd;
pub mod dataos;
pub mod identifier;
mod lenient;
pub mod listed;
pub mod names;
pub mod placement;
pub mod status;
