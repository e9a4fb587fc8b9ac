//! `dataos-ctl` and `kubectl poros` as people type them, against the real API server: what they print is in `cli/golden`,
//! compared byte for byte.

mod access;
mod apply;
mod delete;
mod get;
mod interrupts;
mod lint;
mod live;
mod reads;
mod throttled;
mod tools;
pub mod transcript;
mod twice;
mod wait;
mod words;

pub fn trials() -> Vec<libtest_mimic::Trial> {
    [
        access::trials(),
        get::trials(),
        get::formats::trials(),
        get::changes::trials(),
        get::many::trials(),
        words::trials(),
        apply::trials(),
        interrupts::trials(),
        lint::trials(),
        live::trials(),
        reads::trials(),
        twice::trials(),
        delete::trials(),
        wait::trials(),
        throttled::trials(),
        tools::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
