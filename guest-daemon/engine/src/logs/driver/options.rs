//! What is refused when a container is created: unknown drivers and options. As with dockerd, what
//! the values mean is looked at when it starts.

use crate::config::LogConfig;
use crate::error::{Error, Result};

use super::syslog;
use crate::sizes;

/// Options of every driver.
const COMMON: [&str; 2] = ["mode", "max-buffer-size"];

/// Options of those that select what an entry carries.
const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

const FILES: [&str; 3] = ["max-size", "max-file", "compress"];

const SYSLOG: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];

pub(crate) fn check(config: &LogConfig) -> Result<()> {
    let driver = name(config);
    if driver == "none" {
        return Ok(());
    }
    let mode = option(config, "mode");
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return refuse(format!("logger: logging mode not supported: {mode}"));
    }
    if let Some(size) = config.options.get("max-buffer-size") {
        if mode != "non-blocking" {
            return refuse(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            );
        }
        sizes::binary(size).map_err(|error| {
            Error::invalid(format!("error parsing option max-buffer-size: {error}"))
        })?;
    }
    let disabled = option(config, "cache-disabled");
    if !disabled.is_empty() && boolean(disabled).is_none() {
        return refuse(format!("invalid value for option cache-disabled: {disabled}"));
    }
    let own: &[&str] = match driver {
        "json-file" | "local" => &FILES,
        "syslog" => &SYSLOG,
        // Known, though there is no journal to write to; that is said at the start.
        "journald" => &[],
        other => {
            return Err(unknown(other));
        }
    };
    let known = |key: &str| {
        let plain = key.strip_prefix("cache-").unwrap_or(key);
        let of_the_cache = plain != key
            && (plain == "disabled" || FILES.contains(&plain) || ATTRIBUTES.contains(&plain));
        of_the_cache || COMMON.contains(&key) || ATTRIBUTES.contains(&key) || own.contains(&key)
    };
    if let Some(key) = config.options.keys().find(|key| !known(key)) {
        return refuse(match driver {
            "local" => format!("unknown log opt '{key}' for log driver local"),
            _ => format!("unknown log opt '{key}' for {driver} log driver"),
        });
    }
    if driver == "syslog" { syslog::check(config) } else { Ok(()) }
}

pub(super) fn name(config: &LogConfig) -> &str {
    if config.driver.is_empty() { "json-file" } else { &config.driver }
}

pub(super) fn option<'a>(config: &'a LogConfig, name: &str) -> &'a str {
    config.options.get(name).map_or("", String::as_str)
}

/// As Go reads it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::invalid(text))
}

pub(super) fn unknown(driver: &str) -> Error {
    let text = format!("error looking up logging plugin {driver}: plugin \"{driver}\" not found");
    Error::invalid(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(driver: &str, options: &[(&str, &str)]) -> String {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match check(&LogConfig { driver: driver.into(), options }) {
            Ok(()) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn unknown_drivers_and_options_are_refused_in_dockers_words() {
        for (driver, option, text) in [
            (
                "gelf",
                ("tag", "x"),
                "error looking up logging plugin gelf: plugin \"gelf\" not found",
            ),
            ("json-file", ("x", "y"), "unknown log opt 'x' for json-file log driver"),
            ("local", ("x", "y"), "unknown log opt 'x' for log driver local"),
            ("syslog", ("max-size", "1"), "unknown log opt 'max-size' for syslog log driver"),
            ("journald", ("compress", "y"), "unknown log opt 'compress' for journald log driver"),
            ("json-file", ("mode", "fast"), "logger: logging mode not supported: fast"),
            (
                "",
                ("max-buffer-size", "1m"),
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            (
                "syslog",
                ("cache-disabled", "perhaps"),
                "invalid value for option cache-disabled: perhaps",
            ),
            ("syslog", ("syslog-facility", "24"), "invalid syslog facility"),
            ("syslog", ("syslog-format", "xml"), "Invalid syslog format"),
            ("syslog", ("syslog-address", "http://x"), "unsupported scheme: 'http'"),
        ] {
            assert_eq!(said(driver, &[option]), text);
        }
    }

    #[test]
    fn every_option_of_a_driver_is_known() {
        let tag = ("tag", "{{.Name}}");
        for (driver, options) in [
            ("none", vec![("anything", "goes")]),
            ("", vec![("mode", "non-blocking"), ("max-buffer-size", "4m"), tag]),
            ("local", vec![("max-size", "1m"), ("compress", "false"), ("labels-regex", "^a")]),
            ("syslog", vec![("syslog-address", "udp://10.0.2.2"), ("cache-max-size", "1m"), tag]),
            ("journald", vec![("env", "A"), tag]),
        ] {
            assert_eq!(said(driver, &options), "fine");
        }
    }
}
