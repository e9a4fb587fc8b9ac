//! The table of faults as a page of documentation: `docs/faults.md`.

use std::fmt::Write as _;

use crate::decide::fault::{Blame, Category, Row};
use crate::decide::goal::Mend;

const HEAD: &str = "\
# Faults

What can be wrong with a Compute, made from `src/decide/fault/table.rs`. The category is the reason of the condition `Ready`, of
the transition in `status.history`, and the word that `poros explain compute NAME` tells. The headings below stay as they are:
alerts link to them.

There are two errors. *In the build* (`error`/`error`): what you wrote is not in force, for its revision was never proven.
*After the build* (`error`/`building`): it was in force and proven, then something went wrong. *By the rule* is the former while
the revision that the spec asks for is not proven, and the latter once it is.

| error | status / stage | Ready | Reconciling | Stalled | Built |
|---|---|---|---|---|---|
| in the build | `error` / `error` | False | absent | True | False |
| after the build | `error` / `building` | False | True | absent | True |

A fault that may pass by itself has some time before it is an error: its own grace (`poros run --help`), or, while the Compute is
`pending`, `spec.progressDeadlineSeconds`. Until then the reason says what is waited for: the same word, or `AwaitingPool` for the pool.

";

/// The whole page.
pub fn document() -> String {
    let mut text = String::from(HEAD);
    text.push_str("| category | step | error | pods that name the Compute |\n|---|---|---|---|\n");
    for category in Category::ALL {
        let (word, row) = (category.word(), category.row());
        let anchor = word.to_lowercase();
        let _ = writeln!(
            text,
            "| [{word}](#{anchor}) | {} | {} | {} |",
            row.step.word(),
            row.blame.words(),
            row.pods
        );
    }
    for category in Category::ALL {
        section(&mut text, category);
    }
    text
}

fn section(text: &mut String, category: Category) {
    let row = category.row();
    let _ = write!(text, "\n## {}\n\n{}\n\n", category.word(), row.what);
    let _ = writeln!(text, "- **Found in** the step `{}`.", row.step.word());
    let _ = writeln!(text, "- **Becomes an error** {}.", error(row.blame));
    let _ = writeln!(text, "- **Conditions**: {}.", conditions(&row));
    let _ = writeln!(text, "- **Pods that name the Compute** are {}.", row.pods);
    let _ = writeln!(text, "- **Healed by** {}.", row.healed_by);
    let wait = match category.mend() {
        Mend::Itself(_) => "goes on",
        Mend::Somebody(_) => "ends at once while the stage is `error` (exit code 8)",
    };
    let _ = writeln!(text, "- **`dataos-ctl wait`** {wait}: {}.", category.mend().why());
    text.push_str("\nWhat to do:\n\n");
    for (index, (what, command)) in row.to_do.iter().enumerate() {
        let _ = writeln!(text, "{}. {what}: `{command}`", index + 1);
    }
}

fn error(blame: Blame) -> &'static str {
    match blame {
        Blame::InBuild => "in the build, always",
        Blame::AfterBuild => "after the build, always",
        Blame::ByRule => {
            "by the rule: in the build while the revision that the spec asks for is not proven, after it once it is"
        }
        Blame::AsBefore => "never: the outcome stays what it was",
    }
}

/// What the conditions say meanwhile.
fn conditions(row: &Row) -> String {
    let mut said = Vec::new();
    match row.blame {
        Blame::InBuild => said.push("`Ready` False, `Stalled` True, `Built` False".to_owned()),
        Blame::AfterBuild => said.push("`Ready` False, `Reconciling` True, `Built` True".to_owned()),
        Blame::ByRule => said.push(
            "`Ready` False, with `Stalled` True and `Built` False in the build, with `Reconciling` True and `Built` True after it"
                .to_owned(),
        ),
        Blame::AsBefore => said.push("`Ready` as before".to_owned()),
    }
    let told = |type_: &str, status: Option<&str>| match status {
        Some(status) => format!("`{type_}` {status}"),
        None => format!("`{type_}` judged for itself"),
    };
    said.push(told("PlacementVerified", row.verified));
    said.push(told("PoolReady", row.pool_ready));
    said.join("; ")
}
