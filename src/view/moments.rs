//! Times for people: RFC 3339 in UTC, and, where somebody looks, how long ago that is.

use jiff::{SignedDuration, Timestamp};

/// `2026-11-22T14:00:00Z`; with `now`, the time at which somebody looks, also `(2m ago)` or `(in 2m)`.
pub fn at(time: Timestamp, now: Option<Timestamp>) -> String {
    let Some(now) = now else { return format!("{time:.0}") };
    let ago = now.duration_since(time);
    if ago.is_negative() {
        format!("{time:.0} (in {})", span(ago))
    } else {
        format!("{time:.0} ({} ago)", span(ago))
    }
}

/// A length of time in its two largest units at most: `45s`, `2m`, `3h12m`, `5d`.
pub fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs().unsigned_abs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0..2) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, 0..10, _) if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        (0..2, _, _) => format!("{hours}h"),
        (2..8, _, _) if hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        (_, _, _) => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let told = [0, 45, 119, 120, 3_599, 3_600, 11_520, 40_000, 100_000, 172_800, 180_000, 8_640_000];
        let told = told.map(|seconds| span(SignedDuration::from_secs(seconds)));
        let wanted = ["0s", "45s", "119s", "2m", "59m", "1h", "3h12m", "11h", "27h", "2d", "2d2h", "100d"];
        assert_eq!(told, wanted);
    }

    #[test]
    fn how_long_ago_is_told_where_somebody_looks() {
        let time: Timestamp = "2026-11-22T14:00:00.25Z".parse().unwrap();
        assert_eq!(at(time, None), "2026-11-22T14:00:00Z");
        let later = time + SignedDuration::from_secs(130);
        assert_eq!(at(time, Some(later)), "2026-11-22T14:00:00Z (2m ago)");
        assert_eq!(at(later, Some(time)), "2026-11-22T14:02:10Z (in 2m)");
    }
}
