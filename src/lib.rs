//! Poros turns a pool of nodes into a named thing that people can rely on: the [`api::compute::Compute`].
//!
//! One way, left to right; each arrow is a plain function call or a channel, and nothing flows back:
//!
//! ```text
//! watch ─▶ world ─▶ decide::{validate ▶ desired ▶ plan} ─▶ cluster::{apply ▶ probe} ─▶ decide::{prove ▶ outcome} ─▶ cluster::status
//! ```
//!
//! The rooms and what each may use are a table in `docs/architecture.md`; `tests/rooms.rs` holds them to it.

pub mod api;
pub mod decide;
pub mod world;
pub mod cluster;
pub mod controller;
pub mod telemetry;
pub mod web;
