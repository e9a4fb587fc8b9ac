//! How long ago something was, as kubectl tells it: two units at most, fewer the longer ago.

use jiff::Timestamp;

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

/// The time from `then` to `now`: `5s`, `3m10s`, `2d`. What is to come is told as `0s`: clocks differ.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
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
        let told = |seconds: i64| age(Timestamp::from_second(1_800_000_000 - seconds).unwrap(), now);
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
            assert_eq!(told(seconds), text, "{seconds} s");
        }
    }
}
