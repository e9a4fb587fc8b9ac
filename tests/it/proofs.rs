//! Proofs that fail, marks that are forged, and what keeps holding while Poros is down.

use crate::trials;

trials![];
