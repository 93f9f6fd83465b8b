//! Which log a container gets.

use engine_store::container_logs::Rotation;

use crate::config::LogConfig;
use crate::error::{Error, Result};

/// Where output goes besides to who is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogDriver {
    JsonFile(Rotation),
    None,
}

const NOT_YET: [&str; 9] = [
    "mode",
    "max-buffer-size",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
    "compress",
    "cache-disabled",
];

pub(crate) fn driver(config: &LogConfig) -> Result<LogDriver> {
    match config.driver.as_str() {
        "" | "json-file" => rotation(config).map(LogDriver::JsonFile),
        "none" => match config.options.keys().next() {
            None => Ok(LogDriver::None),
            Some(option) => Err(unknown(option, "none")),
        },
        other => {
            Err(Error::invalid(format!("logger: no log driver named '{other}' is registered")))
        }
    }
}

fn rotation(config: &LogConfig) -> Result<Rotation> {
    let mut rotation = Rotation::default();
    for (option, value) in &config.options {
        match option.as_str() {
            "max-size" => {
                let size = parse_size(value).ok_or_else(|| {
                    Error::invalid(format!("invalid value for max-size: '{value}'"))
                })?;
                rotation.max_size = Some(size);
            }
            "max-file" => {
                rotation.max_files = value
                    .parse()
                    .ok()
                    .filter(|files| *files > 0)
                    .ok_or_else(|| Error::invalid("max-file cannot be less than 1"))?;
            }
            option if NOT_YET.contains(&option) => {
                return Err(Error::unimplemented(format!(
                    "log opt '{option}' for json-file log driver is not implemented"
                )));
            }
            option => return Err(unknown(option, "json-file")),
        }
    }
    if rotation.max_files > 1 && rotation.max_size.is_none() {
        return Err(Error::invalid("max-file option requires max-size to be set"));
    }
    Ok(rotation)
}

fn unknown(option: &str, driver: &str) -> Error {
    Error::invalid(format!("unknown log opt '{option}' for {driver} log driver"))
}

/// `10m`, `100k`, `1.5g`, bytes without a unit; a `b` at the end is allowed.
fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match lower[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = digits.trim_end().split_once('.').unwrap_or((digits.trim_end(), ""));
    let mut size = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        size = size.checked_add(fraction.parse::<u64>().ok()?.checked_mul(unit)? / scale)?;
    }
    (size > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LogConfig { driver: driver.into(), options }
    }

    #[test]
    fn json_file_is_the_default_and_can_rotate() {
        assert_eq!(driver(&config("", &[])).unwrap(), LogDriver::JsonFile(Rotation::default()));
        let rotating = config("json-file", &[("max-size", "10m"), ("max-file", "3")]);
        let expected = Rotation { max_size: Some(10 << 20), max_files: 3 };
        assert_eq!(driver(&rotating).unwrap(), LogDriver::JsonFile(expected));
        assert_eq!(parse_size("1.5k"), Some(1536));
    }

    #[test]
    fn unknown_drivers_and_options_are_refused_in_dockers_words() {
        for (config, text) in [
            (config("syslog", &[]), "logger: no log driver named 'syslog' is registered"),
            (
                config("json-file", &[("colour", "red")]),
                "unknown log opt 'colour' for json-file log driver",
            ),
            (config("json-file", &[("max-size", "big")]), "invalid value for max-size: 'big'"),
        ] {
            assert_eq!(driver(&config).unwrap_err().to_string(), text);
        }
        let error = driver(&config("json-file", &[("compress", "true")])).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Unimplemented);
    }

    #[test]
    fn damaged_sizes_are_understood_or_refused() {
        let seeds = ["10m", "1.5gb", "18446744073709551615.9", "16777215.99999t"];
        fuzz::text_rounds(&seeds, |text| {
            let _ = parse_size(text);
        });
    }
}
