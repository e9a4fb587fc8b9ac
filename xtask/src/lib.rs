//! The rig: a real control plane for the tests, the demo and work by hand; and the image of Poros.
//!
//! [`assets`] finds or makes the binaries, [`rig`] runs them. Of Poros itself know [`image`], which builds it, and
//! [`demo`], which shows it.

pub mod assets;
pub mod command;
pub mod demo;
pub mod image;
pub mod report;
pub mod rig;
pub mod signals;
pub mod table;
pub mod workspace;
