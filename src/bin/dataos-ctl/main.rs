//! `dataos-ctl` as a program of its own.

mod ctl;

fn main() -> std::process::ExitCode {
    ctl::main()
}
