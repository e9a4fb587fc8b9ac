//! Stops the control plane when its owner can no longer do so.
//!
//! The guard is a small `sh` that reads a pipe whose other end only the owner holds. The kernel
//! closes that end however the owner dies, SIGKILL included; then the guard stops what the pid
//! files name: the node at once, the owner's companions, then the API server and its clients, then etcd.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::layout::Layout;

/// A pid may belong to a stranger by now, so the command line must name this rig's folder; for a
/// companion, whose command line is its own affair, the environment may.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
dir=$1
while read -r word; do [ "$word" = dismiss ] && exit 0; done
ours() {
  if [ -e /proc/self/cmdline ]; then line=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline")
  else line=$(ps -o args= -p "$1"); fi
  case $line in *"$dir"*) return 0 ;; esac
  tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -qxF "POROS_RIG=$dir"
}
left() {
  pids=
  for file in $group; do
    pid=$(cat "$file" 2>/dev/null) || continue
    if ours "$pid"; then pids="$pids $pid"; fi
  done
  [ -n "$pids" ]
}
cd "$dir/pids" || exit 0
pid=$(cat node 2>/dev/null) && ours "$pid" && kill -KILL "$pid"
for group in 'companion-*' 'k*' etcd; do
  left && kill -TERM $pids
  turn=0
  while left && [ $turn -lt 80 ]; do sleep 0.1; turn=$((turn + 1)); done
  left && kill -KILL $pids
done
cd /
# The machine's end takes all of it away but its cgroups. By then another rig may have its name.
NAME= CGROUP= CLAIM=
[ ! -e "$dir/node/settings" ] || . "$dir/node/settings"
free() {
  [ ! -e "/sys/class/net/$NAME" ] || [ "$(cat "/sys/class/net/$NAME/ifalias" 2>/dev/null)" = "$CLAIM" ]
}
case $CGROUP in poros-*)
  for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
    turn=0
    while [ -d "$tree/$CGROUP" ] && [ $turn -lt 80 ] && free; do
      find "$tree/$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null
      sleep 0.1; turn=$((turn + 1))
    done
  done ;;
esac
rm -rf "$dir/etcd"
"#;

#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
}

impl Guard {
    pub(super) fn start(layout: &Layout) -> std::io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "poros-rig-guard"]).arg(&layout.dir).current_dir("/");
        // It must hold nothing of the owner's open, or a pipe behind the owner would never end.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.process_group(0).spawn()?;
        Ok(Self { child })
    }

    /// Ends the guard without its doing anything: all is stopped, or is to live on.
    pub(super) fn dismiss(mut self) {
        if let Some(mut pipe) = self.child.stdin.take() {
            // A guard that is gone already has nothing left to be told.
            let _ = pipe.write_all(b"dismiss\n");
        }
        let _ = self.child.wait();
    }
}
