//! Signals by name and number.

use crate::error::{Error, Result};

const NAMES: [(&str, i32); 33] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

const FIRST_REAL_TIME: i32 = 34;
const LAST_REAL_TIME: i32 = 64;

pub(crate) const KILL: i32 = 9;
pub(crate) const TERM: i32 = 15;

/// `KILL`, `SIGKILL`, `9`, `RTMIN+3`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let refused = || Error::invalid(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            ..=0 => Err(refused()),
            1..=LAST_REAL_TIME => Ok(number),
            _ => Err(Error::invalid(format!("the linux daemon does not support signal {number}"))),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(FIRST_REAL_TIME),
        (_, Some("")) => Some(LAST_REAL_TIME),
        (Some(more), _) => {
            let more = more.strip_prefix('+').and_then(|n| n.parse::<i32>().ok());
            more.and_then(|n| FIRST_REAL_TIME.checked_add(n))
        }
        (_, Some(less)) => {
            let less = less.strip_prefix('-').and_then(|n| n.parse::<i32>().ok());
            less.and_then(|n| LAST_REAL_TIME.checked_sub(n))
        }
        (None, None) => None,
    };
    real_time
        .filter(|number| (FIRST_REAL_TIME..=LAST_REAL_TIME).contains(number))
        .ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_understood_in_every_form() {
        for (text, number) in [
            ("KILL", 9),
            ("SIGTERM", 15),
            ("sigint", 2),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        assert!(parse("65").unwrap_err().to_string().contains("does not support signal 65"));
        for bad in ["", "0", "SIGNOPE", "RTMIN+99"] {
            assert_eq!(parse(bad).unwrap_err().to_string(), format!("invalid signal: {bad}"));
        }
    }

    #[test]
    fn damaged_names_are_signals_or_refused() {
        fuzz::text_rounds(&["SIGTERM", "rtmax-2", "RTMIN+3", "15"], |text| {
            if let Ok(number) = parse(text) {
                assert!((1..=64).contains(&number), "{number}");
            }
        });
    }
}
