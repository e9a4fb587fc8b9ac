//! `dataos-ctl` and `kubectl poros` as people type them, against the real API server: what they print is in `cli/golden`,
//! compared byte for byte.

mod access;
mod get;
pub mod transcript;
mod words;

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [access::trials(), get::trials(), words::trials()].into_iter().flatten().collect()
}
