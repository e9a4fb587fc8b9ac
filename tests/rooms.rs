//! Laws.
#[test]
fn ok() {}
