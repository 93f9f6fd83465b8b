//! Moments and durations as Docker's clients and Go write them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

const NANOS: u128 = 1_000_000_000;

/// Units of Go's durations in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS),
    ("m", 60 * NANOS),
    ("h", 3600 * NANOS),
];

/// A moment in nanoseconds since 1970: a Unix time with or without a fraction, a date, a date and
/// a time with or without a zone (without one it is UTC), or how long ago (`10m`, `1h30m`).
pub fn moment(text: &str, now: i128) -> Option<i128> {
    if let Some(unix) = unix_time(text) {
        return Some(unix);
    }
    if let Some(ago) = parse_duration(text) {
        return Some(now - ago);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_nanosecond());
    }
    let local = match text.parse::<DateTime>() {
        Ok(local) => local,
        Err(_) => {
            text.strip_suffix('Z')?.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())
        }
    };
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

fn unix_time(text: &str) -> Option<i128> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = i128::from(seconds.parse::<i64>().ok()?);
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Nine digits are nanoseconds; more cannot be told apart.
    let digits = format!("{fraction:0<9}");
    Some(seconds * 1_000_000_000 + digits[..9].parse::<i128>().ok()?)
}

/// Go's form: numbers with units, one after the other.
fn parse_duration(text: &str) -> Option<i128> {
    let (mut rest, sign) = match text.strip_prefix('-') {
        Some(rest) => (rest, -1),
        None => (text.strip_prefix('+').unwrap_or(text), 1),
    };
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 12 {
            return None;
        }
        let number_of = |text: &str| if text.is_empty() { Some(0) } else { text.parse().ok() };
        let (whole, part): (u128, u128) = (number_of(whole)?, number_of(fraction)?);
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos = nanos.checked_add(whole.checked_mul(*unit)?)?.checked_add(part * unit / scale)?;
        rest = after;
    }
    Some(i128::from(i64::try_from(nanos).ok()?) * sign)
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `200ms`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let part = |nanos: u128, unit: u128| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", nanos % unit);
        match fraction.trim_end_matches('0') {
            "" => format!("{}", nanos / unit),
            fraction => format!("{}.{fraction}", nanos / unit),
        }
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", part(nanos, 1_000)),
        1_000_000..NANOS => format!("{}ms", part(nanos, 1_000_000)),
        _ => {
            let (hours, minutes) = (nanos / NANOS / 3600, nanos / NANOS / 60 % 60);
            let seconds = part(nanos % (60 * NANOS), NANOS);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (200, "200ms"),
            (1_500, "1.5s"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (7_200_000, "2h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(go_duration(Duration::from_micros(1_500)), "1.5ms");
    }

    #[test]
    fn moments_are_understood_in_every_form() {
        const SECOND: i128 = 1_000_000_000;
        let now = 1_700_000_000 * SECOND;
        for (text, expected) in [
            ("1700000000", now),
            ("1700000000.5", now + SECOND / 2),
            ("1700000000.000000001", now + 1),
            ("2023-11-14T22:13:20Z", now),
            ("2023-11-14T23:13:20+01:00", now),
            ("2023-11-14T22:13:20.5", now + SECOND / 2),
            ("2023-11-14", now - (22 * 3600 + 13 * 60 + 20) * SECOND),
            ("2023-11-14Z", now - (22 * 3600 + 13 * 60 + 20) * SECOND),
            ("10m", now - 600 * SECOND),
            ("1h30m", now - 5400 * SECOND),
            ("1.5s", now - SECOND * 3 / 2),
            ("-10m", now + 600 * SECOND),
        ] {
            assert_eq!(moment(text, now), Some(expected), "{text}");
        }
        for bad in ["", "soon", "1.x", "10 m", "m", "10q"] {
            assert_eq!(moment(bad, now), None, "{bad}");
        }
    }
}
