//! What the shell offers on Tab: verbs, flags, and the names of the Computes that there are, asked as they are needed.
//!
//! The script of `completion` calls this program again, with [`VARIABLE`] set. kubectl calls `kubectl_complete-poros`, as
//! cobra calls its own: the words as arguments; an answer a line, and a last line that says how to offer them.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Command, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::env::{Bash, CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::api::identifier::{KINDS, TYPE};
use crate::api::listed::Listed;
use crate::cluster::client::{Access, connect};
use crate::cluster::computes;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;

/// Set where the shell asks what to offer.
const VARIABLE: &str = "DATAOS_CTL_COMPLETE";
/// How long somebody who pressed Tab waits for names.
const PATIENCE: Duration = Duration::from_secs(2);
/// cobra's word for: offer no file names beside these.
const NO_FILES: &str = ":4";

/// Print the script by which a shell completes verbs, flags and names of Computes
#[derive(Clone, Debug, Args)]
#[command(after_help = "Load it where your shell starts:
  bash        echo 'source <(dataos-ctl completion bash)' >> ~/.bashrc
  zsh         echo 'source <(dataos-ctl completion zsh)' >> ~/.zshrc
  fish        dataos-ctl completion fish > ~/.config/fish/completions/dataos-ctl.fish
  powershell  dataos-ctl completion powershell >> $PROFILE
  elvish      dataos-ctl completion elvish >> ~/.elvish/rc.elv")]
pub struct Completion {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

/// Prints the script.
pub fn completion(request: &Completion, session: &mut Session) -> Result<Exit, Failure> {
    let shell: &dyn EnvCompleter = match request.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Elvish => &Elvish,
    };
    let (mut script, name) = (Vec::new(), "dataos-ctl");
    // Writing into memory cannot fail.
    let _ = shell.write_registration(VARIABLE, name, name, name, &mut script);
    session.terminal.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// Answers a shell that asks what to offer; none where nobody does.
pub fn offered(arguments: &[OsString], program: fn() -> Command) -> Option<Exit> {
    let environment = CompleteEnv::with_factory(|| named(program())).var(VARIABLE);
    let directory = std::env::current_dir().ok();
    match environment.try_complete(arguments, directory.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(Exit::Ok),
        Err(_) => Some(Exit::Failed),
    }
}

/// Answers kubectl, which asks what to offer for `kubectl poros` and these words; the last is what is typed so far.
pub fn offered_to_kubectl(arguments: &[OsString], program: Command) -> Exit {
    let mut words: Vec<OsString> = vec!["kubectl-poros".into()];
    words.extend(arguments.iter().skip(1).cloned());
    if words.len() == 1 {
        words.push(OsString::new());
    }
    let (last, directory) = (words.len() - 1, std::env::current_dir().ok());
    let flag = words[last].to_string_lossy().starts_with('-');
    let found = complete(&mut named(program), words, last, directory.as_deref());
    let mut text = String::new();
    for candidate in found.into_iter().flatten().filter(|candidate| !candidate.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        // As kubectl does: flags are offered to who begins to type one.
        if value.starts_with('-') && !flag {
            continue;
        }
        text += &value;
        if let Some(help) = candidate.get_help() {
            text.push('\t');
            text += help.to_string().lines().next().unwrap_or_default();
        }
        text.push('\n');
    }
    let written = std::io::stdout().write_all(format!("{text}{NO_FILES}\n").as_bytes());
    if written.is_ok() { Exit::Ok } else { Exit::Failed }
}

/// The tree, knowing what there is for its names.
fn named(command: Command) -> Command {
    command.mut_subcommands(named).mut_args(|argument| match argument.get_id().as_str() {
        "name" | "names" => argument.add(ArgValueCompleter::new(names)),
        "type_" => argument.add(ArgValueCompleter::new(|_: &OsStr| vec![CompletionCandidate::new(TYPE)])),
        "what" | "compute" => argument.add(ArgValueCompleter::new(typed_names)),
        _ => argument,
    })
}

/// As kubectl names objects: `computes NAME`, or `compute/NAME`.
fn typed_names(typed: &OsStr) -> Vec<CompletionCandidate> {
    let text = typed.to_string_lossy();
    if let Some((kind, name)) = text.split_once('/') {
        let named = names(OsStr::new(name)).into_iter();
        return named.map(|name| name.add_prefix(format!("{kind}/"))).collect();
    }
    // The last word is the one that is typed.
    let before = std::env::args().collect::<Vec<_>>();
    let kind = |word: &String| KINDS.contains(&word.as_str());
    if before.iter().rev().skip(1).any(kind) {
        return names(typed);
    }
    KINDS.iter().take(1).filter(|kind| kind.starts_with(&*text)).map(CompletionCandidate::new).collect()
}

/// The names of the Computes that there are; none where the cluster does not say so at once.
fn names(typed: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<String> = std::env::args().collect();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let found = runtime.block_on(async {
        let asked = async {
            let client = connect(&access(&words), Arc::new(|_, _| {})).await.ok()?;
            computes::all::<Listed>(&client).await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
    });
    // A name look-up that hangs must not hold the shell.
    runtime.shutdown_background();
    let typed = typed.to_string_lossy();
    let names = found.into_iter().flatten().map(|compute| compute.metadata.name);
    names.filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

/// Which cluster the words so far name.
fn access(words: &[String]) -> Access {
    let value = |flag: &str| {
        words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix(flag)? {
            "" => words.get(index + 1).cloned(),
            rest => rest.strip_prefix('=').map(str::to_owned),
        })
    };
    Access {
        kubeconfig: value("--kubeconfig").map(PathBuf::from),
        context: value("--context"),
        cluster: value("--cluster"),
        user: value("--user"),
        impersonate: value("--as"),
        server: value("--server"),
        request_timeout: Some(PATIENCE),
        unattended: true,
        ..Access::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_so_far_say_which_cluster() {
        let words = ["dataos-ctl", "get", "--context", "hub", "--as=ann", "--user-agent=x", "-n", "q"];
        let access = access(&words.map(str::to_owned));
        assert_eq!(access.context.as_deref(), Some("hub"));
        assert_eq!(access.impersonate.as_deref(), Some("ann"));
        assert_eq!((access.user, access.kubeconfig), (None, None));
    }
}
