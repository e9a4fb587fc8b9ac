//! A verb that there is not: which one was perhaps meant, where two letters changed places or one is missing. clap takes `gte`
//! for `tree`.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// How many letters may be wrong.
const WRONG: usize = 2;

/// Says in an error of usage what was meant, where few letters are wrong.
pub fn meant(mut error: clap::Error, command: &Command) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let mut all: Vec<(usize, String)> = verbs(command)
        .into_iter()
        .map(|verb| (strsim::osa_distance(typed, &verb), verb))
        .filter(|(wrong, verb)| *wrong <= WRONG && *wrong < verb.len())
        .collect();
    all.sort();
    all.dedup();
    let nearest = all.first().map_or(0, |(wrong, _)| *wrong);
    let meant: Vec<String> =
        all.into_iter().filter(|(wrong, _)| *wrong == nearest).map(|(_, verb)| verb).collect();
    if !meant.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(meant));
    }
    error
}

fn verbs(command: &Command) -> Vec<String> {
    let own = command.get_subcommands().map(|verb| verb.get_name().to_owned());
    own.chain(command.get_subcommands().flat_map(verbs)).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::ctl::dataos::Dataos;

    #[test]
    fn a_verb_with_letters_in_other_places_is_known() {
        let said = |typed: &str| {
            let error = Dataos::command().try_get_matches_from(["dataos-ctl", typed]).unwrap_err();
            meant(error, &Dataos::command()).to_string()
        };
        assert!(said("gte").contains("'get'"), "{}", said("gte"));
        assert!(said("verison").contains("'version'"), "{}", said("verison"));
        assert!(!said("zzzzzz").contains("tip"), "{}", said("zzzzzz"));
    }
}
