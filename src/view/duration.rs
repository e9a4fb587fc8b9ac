//! Times as people type them after `--timeout`, and as they are told.

use std::time::Duration;

use thiserror::Error;

/// It is no time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no time; it takes a number with a unit, such as 60s, 2m or 1m30s")]
pub struct DurationError(String);

/// Reads `60s`, `2m`, `1m30s`, `500ms`; a number alone is seconds.
pub fn read(given: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(given.to_owned());
    let text = given.trim();
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let read: jiff::SignedDuration = text.parse().map_err(|_| error())?;
    Duration::try_from(read).map_err(|_| error())
}

/// As it is told: `60s`, `1m30s`, `2m`, `3h`. Below a second it is counted in thousandths.
pub fn told(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) if !duration.is_zero() => format!("{}ms", duration.as_millis()),
        // What was typed as 60s is told so.
        (0, 0, _) | (0, 1, 0) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_told_as_kubectl_does() {
        for (given, seconds, expect) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("60s", 60, "60s"),
            ("60", 60, "60s"),
            ("1m", 60, "60s"),
            ("1m30s", 90, "1m30s"),
            ("90s", 90, "1m30s"),
            ("2m", 120, "2m"),
            ("1h", 3600, "1h"),
            ("1h5m", 3900, "1h5m"),
        ] {
            let duration = read(given).unwrap();
            assert_eq!((duration.as_secs(), told(duration).as_str()), (seconds, expect), "{given}");
        }
        assert_eq!(told(read("500ms").unwrap()), "500ms");
        for given in ["", "-1s", "x", "1 fortnight"] {
            assert!(read(given).unwrap_err().to_string().contains("such as 60s"), "{given}");
        }
    }
}
