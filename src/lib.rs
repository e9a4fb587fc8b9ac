//! Poros turns a pool of nodes into a named thing that people can rely on: the [`api::compute::Compute`].
//!
//! One way, left to right; each arrow is a plain function call or a channel, and nothing flows back:
//!
//! ```text
//! watch ─▶ world ─▶ decide::{validate ▶ desired ▶ plan} ─▶ cluster::{apply ▶ probe} ─▶ decide::{prove ▶ outcome} ─▶ cluster::status
//! ```
//!
//! The rooms and what each may use are a table in `docs/architecture.md`; `tests/rooms.rs` holds them to it.

// Tests may take and give values in the shape that reads best.
#![cfg_attr(
    test,
    allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, clippy::unchecked_time_subtraction)
)]

pub mod admission;
pub mod api;
pub mod cluster;
pub mod controller;
pub mod ctl;
pub mod decide;
pub mod listen;
pub mod telemetry;
pub mod view;
pub mod web;
pub mod world;
