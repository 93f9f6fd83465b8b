//! Times as clients write and read them, and durations as people say them.

use jiff::Timestamp;

/// What stands for "never".
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 in UTC with as many digits of a second as there are.
pub(crate) fn rfc3339(unix_nanos: i128) -> String {
    Timestamp::from_nanosecond(unix_nanos).map_or_else(|_| NEVER.to_owned(), |t| t.to_string())
}

pub(crate) fn rfc3339_or_never(unix_nanos: Option<i128>) -> String {
    unix_nanos.map_or_else(|| NEVER.to_owned(), rfc3339)
}

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339_seconds(unix_nanos: i128) -> String {
    rfc3339(unix_nanos.div_euclid(NANOS) * NANOS)
}

pub(crate) fn unix_seconds(unix_nanos: i128) -> i64 {
    i64::try_from(unix_nanos.div_euclid(NANOS)).unwrap_or_default()
}

/// `3 seconds`, `About a minute`, `2 weeks`: the words of `docker ps`.
pub(crate) fn spoken(nanos: i128) -> String {
    let seconds = (nanos / NANOS).max(0);
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

const NANOS: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc3339_with_nanoseconds_and_z() {
        assert_eq!(rfc3339(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(rfc3339(1_700_000_000_120_000_000), "2023-11-14T22:13:20.12Z");
        assert_eq!(rfc3339_seconds(1_700_000_000_999_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339_or_never(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn durations_are_spoken_as_docker_ps_does() {
        let of = |seconds: i128| spoken(seconds * NANOS);
        assert_eq!(of(-5), "Less than a second");
        assert_eq!(of(0), "Less than a second");
        assert_eq!(of(1), "1 second");
        assert_eq!(of(59), "59 seconds");
        assert_eq!(of(60), "About a minute");
        assert_eq!(of(119), "About a minute");
        assert_eq!(of(120), "2 minutes");
        assert_eq!(of(59 * 60), "59 minutes");
        assert_eq!(of(3600), "About an hour");
        assert_eq!(of(2 * 3600), "2 hours");
        assert_eq!(of(47 * 3600), "47 hours");
        assert_eq!(of(48 * 3600), "2 days");
        assert_eq!(of(14 * 24 * 3600), "2 weeks");
        assert_eq!(of(60 * 24 * 3600), "2 months");
        assert_eq!(of(730 * 24 * 3600), "2 years");
    }
}
