//! Poros.
