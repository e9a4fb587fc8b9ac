//! What a person types, and what is answered: arguments → request → view → text.
//!
//! Two programs over one core: [`dataos`] and [`kubectl`] are what can be typed, each with the short flags of its model;
//! a file a verb does what they ask. Data and talk leave through [`terminal`], errors as a [`failure`].

pub mod answer;
pub mod apply;
mod asked;
pub mod completion;
pub mod connection;
pub mod dataos;
pub mod delete;
pub mod describe;
pub mod develop;
mod examples;
pub mod explain;
pub mod failure;
pub mod filed;
pub mod files;
mod gather;
pub mod get;
pub mod interrupt;
pub mod jq;
pub mod kubectl;
pub mod mistyped;
pub mod named;
pub mod program;
pub mod reference;
pub mod report;
pub mod session;
pub mod terminal;
pub mod tree;
pub mod version;
pub mod wait;
pub mod which;
pub mod why;
