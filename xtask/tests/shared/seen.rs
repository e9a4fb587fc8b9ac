//! What the tests of the rig wait for and look at: states, and processes of this machine.

use std::path::Path;
use std::time::{Duration, Instant};

/// Far beyond what anything takes: a machine that is busy is slow, not broken.
const LIMIT: Duration = Duration::from_mins(2);

/// Looks again and again, until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// All processes and their command lines.
pub(crate) fn processes() -> Vec<(u32, String)> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let line = |id: u32| {
        let bytes = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        (id, String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    ids.map(line).collect()
}

/// Those whose command line names the path, but for this one.
pub(crate) fn processes_of(path: &Path) -> Vec<(u32, String)> {
    let (path, own) = (path.to_string_lossy(), std::process::id());
    processes().into_iter().filter(|(id, line)| *id != own && line.contains(&*path)).collect()
}
