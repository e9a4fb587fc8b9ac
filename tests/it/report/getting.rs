//! `get` over a thousand Computes beside kubectl, the start of the program, and its size.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xtask::rig::Options;

use super::tell;
use crate::cli::transcript::{Transcript, programs};
use crate::harness::cluster::Cluster;
use crate::harness::seed;

const COUNT: usize = 1_000;
const ROUNDS: usize = 15;

pub async fn of_get() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(Options::api_only("it-get"))).await.unwrap();
    let client = cluster.client().await;
    cluster.install_policies();
    seed::nodes(&client, 0..100, 100).await;
    seed::computes(&client, "get", 0..COUNT, 100).await;
    let told = Transcript::new("report-get", &cluster, "report");
    let binary = std::fs::canonicalize(programs(&cluster).join("dataos-ctl")).unwrap();
    println!("\n{COUNT} Computes; {} KiB of programme: {}", size(&binary), binary.display());
    let lines = [
        "kubectl get computes",
        "kubectl poros get computes",
        "dataos-ctl get -a -t compute",
        "kubectl get computes -o json",
        "kubectl poros get computes -o json",
    ];
    // Once, so that kubectl has the discovery that it keeps in a file.
    for line in lines {
        assert_eq!(told.quietly(line).code, 0, "{line}");
    }
    let mut times = lines.map(|_| Vec::new());
    let mut memory = lines.map(|_| 0);
    for _ in 0..ROUNDS {
        for (index, line) in lines.iter().enumerate() {
            let (time, peak) = measured(&told, line);
            times[index].push(time);
            memory[index] = memory[index].max(peak);
        }
    }
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    for (index, line) in lines.iter().enumerate() {
        let theirs = if line.ends_with("json") { 3 } else { 0 };
        let ratio = median(&times[index]) / median(&times[theirs]);
        tell(
            &format!("{line}: {ratio:.2} of kubectl's time, at most {} KiB", memory[index]),
            times[index].clone(),
        );
    }
    let mut starts = Vec::new();
    for _ in 0..50 {
        starts.push(measured(&told, "dataos-ctl --help").0);
    }
    tell("dataos-ctl --help", starts);
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len() / 1024
}

/// The time from the start of a command to its end, and the most memory that it had, in KiB.
fn measured(told: &Transcript, line: &str) -> (Duration, u64) {
    let shell = told.command(line);
    let mut words = line.split(' ');
    // Without a shell, whose start would be measured too.
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M", "-o", "peak"]).args(words.next()).args(words);
    command.env_clear().current_dir(shell.get_current_dir().unwrap());
    command.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let begin = Instant::now();
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("time (GNU) is installed");
    let time = begin.elapsed();
    assert!(output.status.success(), "{line}");
    let peak = std::fs::read_to_string(shell.get_current_dir().unwrap().join("peak")).unwrap();
    (time, peak.trim().parse().unwrap())
}
