//! What to do where a cluster cannot be asked, or does not do what it was asked: one answer for each cause.

use crate::cluster::call::{CallError, chain};
use crate::cluster::client::{ChooseError, ConnectError, Login, NoAnswer, PluginError, Unknown, Why};
use crate::ctl::failure::{Exit, Failure};
use crate::view::denied::Denied;
use crate::view::names::{absent, listed};

/// How many contexts are listed.
const LISTED: usize = 5;

/// How a verb ends by what became of a call, and what to do; `writes`: it is to write what it asks for.
pub(super) fn call(error: &CallError, writes: bool) -> (Exit, Option<String>) {
    match error {
        CallError::Unauthorized(unknown) => (Exit::Denied, Some(log_in(unknown))),
        CallError::Login(plugin) => (Exit::Denied, Some(mend_plugin(plugin))),
        CallError::Forbidden(message) => {
            (Exit::Denied, Denied::read(message).map(|denied| denied.remedy(writes)))
        }
        CallError::Refused { code: 429, .. } => {
            (Exit::Failed, Some("the API server has more to do than it can: try again in a while".into()))
        }
        CallError::Refused { code: 500.., .. } => {
            (Exit::Failed, Some("the API server has trouble of its own: try again; its log says more".into()))
        }
        CallError::Refused { code: 400 | 403 | 422, .. } => (Exit::Invalid, None),
        CallError::Conflict(_) => (Exit::Conflict, None),
        CallError::NotFound(_) => (Exit::NotFound, None),
        CallError::Unserved(_) => (
            Exit::Failed,
            Some("is Poros installed in this cluster? Its CRDs are: poros crd | kubectl apply --server-side -f -".into()),
        ),
        CallError::Unreachable(none) => (Exit::Failed, Some(reach(none))),
        CallError::Timeout(_) => (Exit::Failed, Some(LONGER.into())),
        CallError::Refused { .. } | CallError::Otherwise(_) | CallError::Unreadable(_) => (Exit::Failed, None),
    }
}

const LONGER: &str = "try again, or give it longer: --request-timeout=60s";

fn reach(none: &NoAnswer) -> String {
    match &none.why {
        Why::Refused | Why::Unroutable(_) | Why::Unconnected(_) => {
            "is the cluster up, and this machine in its network? kubectl config get-contexts shows others, --context chooses one".into()
        }
        Why::Unresolved => {
            "is the address in the kubeconfig right, and does this machine's network (a VPN?) know the name?".into()
        }
        Why::Untrusted(_) => {
            "fetch the kubeconfig anew, or name who is trusted with --certificate-authority; --tls-server-name is for a certificate with another name".into()
        }
        Why::Tls(_) => "is the address in the kubeconfig that of an API server?".into(),
        Why::Proxy(_) => "it is from proxy-url in the kubeconfig, or from HTTPS_PROXY; NO_PROXY names what needs none".into(),
        Why::Silent(_) => LONGER.into(),
        Why::Broken(_) => "try again".into(),
    }
}

fn log_in(unknown: &Unknown) -> String {
    match &unknown.place.login {
        Login::None => "the kubeconfig holds no login for this: choose another --context or --user".into(),
        Login::Held => {
            "log in to the cluster again, or fetch the kubeconfig anew: what it holds is not valid any more"
                .into()
        }
        Login::File(path) => format!("the token in {path} is not valid any more: renew it"),
        Login::Certificate => {
            "the certificate in the kubeconfig is not valid any more: fetch the kubeconfig anew".into()
        }
        Login::Plugin(command) => format!("log in again: what {command} gives is not taken"),
    }
}

fn mend_plugin(plugin: &PluginError) -> String {
    match plugin {
        PluginError::Absent { hint: Some(hint), .. } => hint.trim().to_owned(),
        PluginError::Absent { command, .. } => {
            format!("install {command}, or choose another --context or --user")
        }
        PluginError::NobodyThere { .. } => "run it in a terminal, or with another --user".into(),
        PluginError::Failed { command, .. } => {
            format!("log in again by the means of {command}; what it said about it is above")
        }
        PluginError::Unnamed | PluginError::Start { .. } | PluginError::Unreadable { .. } => {
            "see users[].user.exec in the kubeconfig".into()
        }
    }
}

/// Why there is no connection.
pub(super) fn connect(error: &ConnectError) -> Failure {
    let failed = |exit, remedy: Option<String>| {
        let failure = Failure::of(exit, error);
        match remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    };
    match error {
        ConnectError::Choose(ChooseError::Unknown { what, name, known, asked }) => {
            let exit = if *asked { Exit::Usage } else { Exit::Failed };
            let text = format!("in the kubeconfig {}", absent(what, name, known));
            Failure::new(exit, text).remedy("kubectl config view shows what it holds, without its secrets")
        }
        ConnectError::Choose(ChooseError::Undecided { known }) if known.is_empty() => {
            failed(Exit::Failed, None)
        }
        ConnectError::Choose(ChooseError::Undecided { known }) => {
            let there = listed(known, LISTED);
            failed(
                Exit::Failed,
                Some(format!("choose one with --context, or kubectl config use-context; there are: {there}")),
            )
        }
        ConnectError::Choose(ChooseError::Nobody) => failed(Exit::Usage, Some("add --as USER".into())),
        ConnectError::Login { source, .. } => failed(Exit::Denied, Some(mend_plugin(source))),
        ConnectError::Absent(_) => {
            // That it is no pod either is no news to a person.
            Failure::new(Exit::Failed, error.to_string()).remedy("--kubeconfig names a file of your own")
        }
        ConnectError::Kubeconfig(_) | ConnectError::Choose(_) | ConnectError::Client { .. } => {
            Failure::new(Exit::Failed, chain(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::cluster::client::Place;

    fn place(login: Login) -> Arc<Place> {
        let (context, user) = (Some("hub".into()), Some("ann".into()));
        Arc::new(Place { url: "https://hub:6443".into(), context, user, login, proxy: None })
    }

    #[test]
    fn each_cause_is_told_apart_with_its_exit_code_and_what_to_do() {
        let unknown = |login| CallError::Unauthorized(Box::new(Unknown { place: place(login) }));
        let none = |why| CallError::Unreachable(Box::new(NoAnswer { place: place(Login::None), why }));
        let refused = |code| CallError::Refused { message: "no".into(), code };
        let absent =
            PluginError::Absent { command: "login".into(), hint: Some("brew install login\n".into()) };
        for (error, exit, words) in [
            (unknown(Login::None), Exit::Denied, "choose another --context"),
            (unknown(Login::Held), Exit::Denied, "log in to the cluster again"),
            (unknown(Login::File("/t".into())), Exit::Denied, "the token in /t"),
            (unknown(Login::Certificate), Exit::Denied, "the certificate"),
            (unknown(Login::Plugin("login".into())), Exit::Denied, "what login gives"),
            (CallError::Login(Box::new(absent)), Exit::Denied, "brew install login"),
            (refused(429), Exit::Failed, "try again in a while"),
            (refused(503), Exit::Failed, "trouble of its own"),
            (CallError::Unserved(String::new()), Exit::Failed, "poros crd"),
            (none(Why::Refused), Exit::Failed, "is the cluster up"),
            (none(Why::Unresolved), Exit::Failed, "know the name"),
            (none(Why::Untrusted("x".into())), Exit::Failed, "--certificate-authority"),
            (none(Why::Tls("x".into())), Exit::Failed, "that of an API server"),
            (none(Why::Proxy("x".into())), Exit::Failed, "HTTPS_PROXY"),
            (none(Why::Silent(Duration::from_secs(3))), Exit::Failed, "--request-timeout"),
        ] {
            let failure = Failure::of_call("Computes could not be listed", &error);
            assert_eq!(failure.exit, exit, "{error}");
            assert!(failure.told().contains(words), "{}", failure.told());
        }
        for (error, exit) in [
            (refused(422), Exit::Invalid),
            (refused(403), Exit::Invalid),
            (refused(418), Exit::Failed),
            (CallError::Conflict(String::new()), Exit::Conflict),
            (CallError::NotFound(String::new()), Exit::NotFound),
        ] {
            assert_eq!(Failure::of_call("it", &error).exit, exit, "{error}");
        }
        let text = Failure::of_call("Computes could not be listed", &unknown(Login::Held)).told();
        assert_eq!(
            text,
            "Computes could not be listed: the API server https://hub:6443 (context \"hub\") does not know user \"ann\" of the kubeconfig: the login is missing, expired or unknown (401)\n  log in to the cluster again, or fetch the kubeconfig anew: what it holds is not valid any more"
        );
    }

    #[test]
    fn a_name_that_the_kubeconfig_does_not_have_is_told_with_those_that_it_has() {
        let known = vec!["hub".to_owned(), "edge".to_owned()];
        let unknown = ChooseError::Unknown { what: "context", name: "hubb".into(), known, asked: true };
        let failure = connect(&ConnectError::Choose(unknown));
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.text,
            "in the kubeconfig no context named hubb exists; did you mean hub? There are: hub, edge"
        );
    }
}
