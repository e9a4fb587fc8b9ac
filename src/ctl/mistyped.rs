//! A verb that there is not: which one was perhaps meant, where two letters changed places or one is missing, or where it stands
//! on another level. clap takes `gte` for `tree`.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::decide::meant::all_nearest;

/// Says in an error of usage what was meant, where few letters are wrong.
pub fn meant(mut error: clap::Error, command: &Command) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        return named(error, command);
    }
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let there = level(command, &error).get_subcommands().map(|verb| (verb.get_name(), String::new()));
    let mut meant = nearest(typed, there.collect());
    if meant.is_empty() {
        // Whoever types `pod` means a verb of another level, whose name alone would be refused again.
        let program = command.get_bin_name().unwrap_or(command.get_name());
        meant = nearest(typed, verbs(command, &format!("{program} ")));
    }
    if !meant.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(meant));
    }
    error
}

/// Says how a name is given, where one stands without a flag; and how a value is, that stands behind a blank instead of a sign of
/// equality.
fn named(mut error: clap::Error, command: &Command) -> clap::Error {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else { return error };
    let is_value = |argument: &&Arg| {
        argument.is_require_equals_set()
            && argument.get_possible_values().iter().any(|value| value.matches(typed, false))
    };
    let flag = level(command, &error).get_arguments().find(is_value).and_then(Arg::get_long);
    if let Some(flag) = flag {
        let tip = format!("a value of --{flag} stands behind =: '--{flag}={typed}'");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        return error;
    }
    let takes_name = level(command, &error)
        .get_arguments()
        .any(|argument| argument.get_short() == Some('n') && argument.get_long() == Some("name"));
    if takes_name && !typed.starts_with('-') {
        let tip = format!("a Compute is named by -n: '-n {typed}'");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The nearest of these verbs, each with the verbs before it; those that are equally near.
fn nearest(typed: &str, verbs: Vec<(&str, String)>) -> Vec<String> {
    let names: Vec<&str> = verbs.iter().map(|(verb, _)| *verb).collect();
    let near = all_nearest(typed, &names);
    verbs.into_iter().filter(|(verb, _)| near.contains(verb)).map(|(verb, before)| before + verb).collect()
}

/// Where the error is: `Usage: dataos-ctl resource [OPTIONS] <COMMAND>` is of `resource`.
fn level<'a>(command: &'a Command, error: &clap::Error) -> &'a Command {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let mut level = command;
    for word in usage.split_whitespace().take_while(|word| !word.starts_with(['[', '<'])) {
        level = level.find_subcommand(word).unwrap_or(level);
    }
    level
}

/// All verbs, with what is to be typed before each.
fn verbs<'a>(command: &'a Command, before: &str) -> Vec<(&'a str, String)> {
    let own = command.get_subcommands();
    own.flat_map(|verb| {
        let name = verb.get_name();
        let below = verbs(verb, &format!("{before}{name} "));
        std::iter::once((name, before.to_owned())).chain(below)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::ctl::dataos::Dataos;

    fn said(typed: &str) -> String {
        let words = std::iter::once("dataos-ctl").chain(typed.split(' '));
        let error = Dataos::command().try_get_matches_from(words).unwrap_err();
        meant(error, &Dataos::command()).to_string()
    }

    #[test]
    fn a_verb_with_letters_in_other_places_is_known() {
        assert!(said("gte").contains("'get'"), "{}", said("gte"));
        assert!(said("verison").contains("'version'"), "{}", said("verison"));
        assert!(!said("zzzzzz").contains("tip"), "{}", said("zzzzzz"));
    }

    #[test]
    fn what_is_suggested_can_be_typed_there() {
        for (typed, expect) in [
            ("resource gte", "'get'"),
            ("resource verison", "'dataos-ctl version'"),
            ("pod", "'dataos-ctl explain pod'"),
            ("schema", "'dataos-ctl develop schema'"),
            ("develop schem", "'schema'"),
            ("develop schema generat", "'generate'"),
            ("generate", "'dataos-ctl develop generate', 'dataos-ctl develop schema generate'"),
            ("--context get gte", "'get'"),
            ("log", ""),
        ] {
            let said = said(typed);
            let tip = said.lines().find_map(|line| line.trim().strip_prefix("tip: ")).unwrap_or_default();
            let suggested = tip.split_once(": ").map_or("", |(_, suggested)| suggested);
            assert_eq!(suggested, expect, "{typed}: {said}");
        }
    }

    #[test]
    fn a_name_without_its_flag_is_told_how_it_is_given() {
        for typed in ["why a", "get a", "resource get -a a", "describe --all-nodes a"] {
            assert!(said(typed).contains("tip: a Compute is named by -n: '-n a'"), "{}", said(typed));
        }
        for (typed, meant) in [
            ("delete -n a --wait false", "'--wait=false'"),
            ("delete -n a --dry-run server", "'--dry-run=server'"),
            ("apply -f a --dry-run client", "'--dry-run=client'"),
            ("apply -f a --wait active", "'--wait=active'"),
        ] {
            let said = said(typed);
            assert!(said.contains(meant) && !said.contains("named by -n"), "{said}");
        }
        for typed in ["get --al", "version a"] {
            assert!(!said(typed).contains("named by -n"), "{}", said(typed));
        }
    }
}
