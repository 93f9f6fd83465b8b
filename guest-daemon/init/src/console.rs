//! One line of text per event on the console, in the form the daemon's log has too.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

/// Writes one event. What the console does not take is lost; init goes on.
pub(crate) fn write_event(level: Level, message: &str, fields: &[(&str, &dyn std::fmt::Display)]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    raw(&line(now, level, message, fields));
}

/// Writes a line as it is.
pub(crate) fn raw(line: &str) {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), rest) {
            Ok(0) => return,
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn line(
    now: Duration,
    level: Level,
    message: &str,
    fields: &[(&str, &dyn std::fmt::Display)],
) -> String {
    let level = match level {
        Level::Info => " INFO",
        Level::Warn => " WARN",
        Level::Error => "ERROR",
    };
    let mut line = format!("{} {level} guest_init: {message}", rfc3339(now));
    for (name, value) in fields {
        let value = value.to_string();
        let plain = !value.is_empty()
            && value.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"');
        // Writing to a string does not fail.
        let _infallible =
            if plain { write!(line, " {name}={value}") } else { write!(line, " {name}={value:?}") };
    }
    line.push('\n');
    line
}

/// A moment after 1970 as `2026-08-01T12:00:00.000000Z`.
fn rfc3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) =
        (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let micros = since_1970.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The Gregorian date so many days after 1970-01-01.
///
/// Years are counted from March, so that the leap day is a year's last; 719 468 days lie between
/// 0000-03-01 and 1970-01-01, 146 097 are 400 years.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// `event!(Info, "mounted", path = x)`
macro_rules! event {
    ($level:ident, $message:expr $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::console::write_event(
            $crate::console::Level::$level,
            $message,
            &[$((stringify!($name), &$value as &dyn std::fmt::Display)),*],
        )
    };
}
pub(crate) use event;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let at = |seconds| rfc3339(Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.000000Z");
        assert_eq!(at(1_798_761_600), "2027-01-01T00:00:00.000000Z");
    }

    #[test]
    fn an_event_is_one_line_whatever_its_values_are() {
        let line = line(
            Duration::from_micros(1_500_000),
            Level::Warn,
            "not mounted",
            &[("path", &"/a"), ("because", &"no\n\"such\" thing"), ("none", &"")],
        );
        assert_eq!(
            line,
            "1970-01-01T00:00:01.500000Z  WARN guest_init: not mounted path=/a \
             because=\"no\\n\\\"such\\\" thing\" none=\"\"\n"
        );
    }
}
