//! Proofs that fail, marks that are forged, and what keeps holding while Poros is down.

mod marks;
mod mismatch;
pub mod webhook;

use libtest_mimic::Trial;

/// All tests of proofs.
pub fn trials() -> Vec<Trial> {
    [marks::trials(), mismatch::trials()].into_iter().flatten().collect()
}
