//! What flags may be given. A wrong one ends `poros` with 2 before anything is started.

use std::net::SocketAddr;
use std::time::Duration;

use poros::cluster::call::chain;
use poros::decide::defaults::{self, DefaultCompute};

/// The Computes of a file.
#[derive(Clone)]
pub(crate) struct Defaults(pub(crate) Vec<DefaultCompute>);

pub(crate) fn default_computes(file: &str) -> Result<Defaults, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    defaults::read(&text).map(Defaults).map_err(|error| chain(&error))
}

/// The name of a namespace, of a Service or of a cluster: a DNS label (RFC 1123).
pub(crate) fn label(text: &str) -> Result<String, String> {
    let word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let fits = !text.is_empty()
        && text.len() <= 63
        && text.chars().all(|letter| word(letter) || letter == '-')
        && text.starts_with(word)
        && text.ends_with(word);
    let wrong = "1 to 63 lower-case letters, digits or '-' are expected, with a letter or digit at both ends";
    if fits { Ok(text.to_owned()) } else { Err(wrong.to_owned()) }
}

/// An image: what it may be exactly, registries say; this is what no image can be.
pub(crate) fn image(text: &str) -> Result<String, String> {
    let fits = text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._/:@".contains(letter));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("an image is expected, such as registry/poros:1.0.0".to_owned())
    }
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and a port are expected, such as 0.0.0.0:8080 or [::]:8080".into())
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "a number of seconds is expected, such as 10 or 0.5".to_owned())?;
    let bounded =
        Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= Duration::from_secs(86_400));
    bounded.ok_or_else(|| "0 to 86400 seconds are possible".to_owned())
}

/// As [`seconds`], for what would be asked without a pause otherwise.
pub(crate) fn some_seconds(text: &str) -> Result<Duration, String> {
    let some = seconds(text).ok().filter(|duration| *duration >= Duration::from_secs(1));
    some.ok_or_else(|| "1 to 86400 seconds are possible".to_owned())
}
