//! Times for people: as they type them after `--timeout`, and as they are told; how long ago something was; moments in UTC.

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Up to so many seconds: the unit, and the smaller one that is told beside it.
const TOLD: [(i64, Unit, Option<Unit>); 9] = [
    (2 * MINUTE, (1, 's'), None),
    (10 * MINUTE, (MINUTE, 'm'), Some((1, 's'))),
    (3 * HOUR, (MINUTE, 'm'), None),
    (8 * HOUR, (HOUR, 'h'), Some((MINUTE, 'm'))),
    (2 * DAY, (HOUR, 'h'), None),
    (8 * DAY, (DAY, 'd'), Some((HOUR, 'h'))),
    (2 * YEAR, (DAY, 'd'), None),
    (8 * YEAR, (YEAR, 'y'), Some((DAY, 'd'))),
    (i64::MAX, (YEAR, 'y'), None),
];

/// Its seconds, and its letter.
type Unit = (i64, char);

/// It is no time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no time; it takes a number with a unit, such as 60s, 2m or 1m30s")]
pub struct TimeError(String);

/// Reads `60s`, `2m`, `1m30s`, `500ms`; a number alone is seconds.
pub fn read(given: &str) -> Result<Duration, TimeError> {
    let error = || TimeError(given.to_owned());
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

/// The time from `then` to `now`, as kubectl tells it, in two units at most, fewer the longer ago: `5s`, `3m10s`, `2d`. What
/// is to come is told as `0s`: clocks differ.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    short(now.as_second().saturating_sub(then.as_second()).max(0))
}

/// `2026-11-22T14:00:00Z`; with `now`, the time at which somebody looks, also `(2m ago)` or `(in 2m)`.
pub fn at(time: Timestamp, now: Option<Timestamp>) -> String {
    let Some(now) = now else { return format!("{time:.0}") };
    if now < time {
        format!("{time:.0} (in {})", age(now, time))
    } else {
        format!("{time:.0} ({} ago)", age(time, now))
    }
}

fn short(seconds: i64) -> String {
    let told = TOLD.iter().find(|(below, ..)| seconds < *below);
    let Some((_, (unit, letter), finer)) = told else { return String::new() };
    let rest = finer.map(|(finer, letter)| (seconds % unit / finer, letter)).filter(|(count, _)| *count > 0);
    let rest = rest.map(|(count, letter)| format!("{count}{letter}")).unwrap_or_default();
    format!("{}{letter}{rest}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_those_of_kubectl() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ago = |seconds: i64| age(Timestamp::from_second(1_800_000_000 - seconds).unwrap(), now);
        // What kubectl 1.36 prints for the same.
        for (seconds, text) in [
            (-90, "0s"),
            (0, "0s"),
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (190, "3m10s"),
            (600, "10m"),
            (179 * MINUTE, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 5 * MINUTE, "3h5m"),
            (9 * HOUR, "9h"),
            (47 * HOUR, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + HOUR, "2d1h"),
            (8 * DAY, "8d"),
            (700 * DAY, "700d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + 3 * DAY, "2y3d"),
            (9 * YEAR, "9y"),
        ] {
            assert_eq!(ago(seconds), text, "{seconds} s");
        }
    }

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

    #[test]
    fn how_long_ago_is_told_where_somebody_looks() {
        let time: Timestamp = "2026-11-22T14:00:00.25Z".parse().unwrap();
        assert_eq!(at(time, None), "2026-11-22T14:00:00Z");
        let later = time + jiff::SignedDuration::from_secs(130);
        assert_eq!(at(time, Some(later)), "2026-11-22T14:00:00Z (2m10s ago)");
        assert_eq!(at(later, Some(time)), "2026-11-22T14:02:10Z (in 2m10s)");
    }
}
