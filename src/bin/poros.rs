//! The poros binary.
fn main() {}
