//! `dataos-ctl` and `kubectl poros` as people type them, against the real API server: what they print is in `cli/golden`,
//! compared byte for byte.

mod access;
mod get;
mod tools;
pub mod transcript;

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [access::trials(), get::trials(), tools::trials()].into_iter().flatten().collect()
}
