//! The processes of pods, as the host sees them.

use std::fs;

use serde_json::Value;

use crate::site::text;

/// The process of Poros in this pod.
pub fn of(pod: &Value) -> Option<u32> {
    let mark = format!("POD_NAME={}", text(&pod["metadata"]["name"]));
    let all = fs::read_dir("/proc").unwrap().flatten();
    let mut ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let has =
            |file: &str, word: &str| read(file).split(|byte| *byte == 0).any(|part| part == word.as_bytes());
        read("cmdline").starts_with(b"/poros\0run\0") && has("environ", &mark)
    })
}

/// Its resident memory in MiB: now, and at most.
pub fn resident(id: u32) -> [u64; 2] {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    })
}

/// Ends it as the kernel does when memory is short: at once.
pub fn kill(id: u32) {
    let killed = std::process::Command::new("kill").args(["-9", &id.to_string()]).status();
    assert!(killed.unwrap().success());
}
