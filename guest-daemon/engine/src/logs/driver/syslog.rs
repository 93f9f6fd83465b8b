//! The driver `syslog`: whom its options name, and what a message looks like.

use crate::config::LogConfig;
use crate::error::{Error, Result};
use crate::ports::{SyslogAddress, SyslogTarget, SyslogTls};

use super::options::option;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

const DEFAULT_PORT: &str = "514";

/// Whether the options mean something.
pub(super) fn check(config: &LogConfig) -> Result<()> {
    address(config)?;
    facility(option(config, "syslog-facility"))?;
    form(option(config, "syslog-format")).map(drop)
}

pub(super) fn target(config: &LogConfig) -> Result<SyslogTarget> {
    let tls = SyslogTls {
        ca: option(config, "syslog-tls-ca-cert").into(),
        certificate: option(config, "syslog-tls-cert").into(),
        key: option(config, "syslog-tls-key").into(),
        // There is enough: even an empty value means yes.
        unverified: config.options.contains_key("syslog-tls-skip-verify"),
    };
    Ok(SyslogTarget { address: address(config)?, tls })
}

fn address(config: &LogConfig) -> Result<SyslogAddress> {
    let text = option(config, "syslog-address");
    if text.is_empty() {
        return Ok(SyslogAddress::Local);
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    match scheme {
        "unix" => return Ok(SyslogAddress::Unix(rest.into())),
        "unixgram" => return Ok(SyslogAddress::UnixDatagram(rest.into())),
        "udp" | "tcp" | "tcp+tls" => {}
        other => return Err(Error::invalid(format!("unsupported scheme: '{other}'"))),
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let place = match after_address.split_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        Some((_, port)) => {
            return Err(Error::invalid(format!(
                "parse \"{text}\": invalid port \":{port}\" after host"
            )));
        }
        None => format!("{host}:{DEFAULT_PORT}"),
    };
    Ok(match scheme {
        "udp" => SyslogAddress::Udp(place),
        "tcp" => SyslogAddress::Tcp(place),
        _ => SyslogAddress::Tls(place),
    })
}

fn facility(text: &str) -> Result<u8> {
    let text = if text.is_empty() { "daemon" } else { text };
    let named = FACILITIES.iter().zip(0..).find(|(name, _)| **name == text).map(|(_, n)| n);
    let number = || text.parse().ok().filter(|number| *number <= 23);
    named.or_else(number).ok_or_else(|| Error::invalid("invalid syslog facility"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// What local daemons expect: without the host's name.
    Unix,
    Rfc3164,
    Rfc5424,
    Rfc5424Micro,
}

fn form(text: &str) -> Result<Form> {
    Ok(match text {
        "" => Form::Unix,
        "rfc3164" => Form::Rfc3164,
        "rfc5424" => Form::Rfc5424,
        "rfc5424micro" => Form::Rfc5424Micro,
        _ => return Err(Error::invalid("Invalid syslog format")),
    })
}

/// Makes messages of lines.
#[derive(Debug)]
pub(crate) struct Formatter {
    form: Form,
    /// Messages are told apart by their length, which goes before them (RFC 5425).
    counted: bool,
    facility: u8,
    tag: String,
    host: String,
    pid: u32,
}

impl Formatter {
    pub(super) fn new(config: &LogConfig, tag: String, host: &str) -> Result<Self> {
        let form = form(option(config, "syslog-format"))?;
        let over_tls = matches!(address(config)?, SyslogAddress::Tls(_));
        Ok(Self {
            form,
            counted: over_tls && matches!(form, Form::Rfc5424 | Form::Rfc5424Micro),
            facility: facility(option(config, "syslog-facility"))?,
            tag,
            host: host.to_owned(),
            pid: std::process::id(),
        })
    }

    /// `line` without its newline.
    pub(crate) fn message(&self, stderr: bool, line: &[u8], unix_nanos: i128) -> Vec<u8> {
        const ERROR: u8 = 3;
        const INFORMATION: u8 = 6;
        let priority = self.facility << 3 | if stderr { ERROR } else { INFORMATION };
        let time = jiff::Timestamp::from_nanosecond(unix_nanos).unwrap_or_default();
        let Self { tag, host, pid, .. } = self;
        let mut message = match self.form {
            Form::Unix => format!("<{priority}>{} {tag}[{pid}]: ", time.strftime(STAMP)),
            Form::Rfc3164 => {
                format!("<{priority}>{} {host} {tag}[{pid}]: ", time.strftime(STAMP))
            }
            Form::Rfc5424 => {
                let time = time.strftime("%Y-%m-%dT%H:%M:%SZ");
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - ")
            }
            Form::Rfc5424Micro => {
                let time = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - ")
            }
        }
        .into_bytes();
        message.extend_from_slice(line);
        message.push(b'\n');
        if self.counted {
            let mut counted = format!("{} ", message.len()).into_bytes();
            counted.append(&mut message);
            return counted;
        }
        message
    }
}

const STAMP: &str = "%b %e %H:%M:%S";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LogConfig { driver: "syslog".into(), options }
    }

    fn message(options: &[(&str, &str)], stderr: bool) -> String {
        let mut formatter = Formatter::new(&config(options), "web".to_owned(), "dev").unwrap();
        formatter.pid = 7;
        let message = formatter.message(stderr, b"hi", 1_714_979_289_123_456_789);
        String::from_utf8(message).unwrap()
    }

    #[test]
    fn messages_have_the_form_that_was_asked_for() {
        assert_eq!(message(&[], false), "<30>May  6 07:08:09 web[7]: hi\n");
        let options = [("syslog-format", "rfc3164"), ("syslog-facility", "local1")];
        assert_eq!(message(&options, true), "<139>May  6 07:08:09 dev web[7]: hi\n");
        let rfc5424 = "<27>1 2024-05-06T07:08:09Z dev web 7 web - hi\n";
        assert_eq!(message(&[("syslog-format", "rfc5424")], true), rfc5424);
        let micro = [("syslog-format", "rfc5424micro"), ("syslog-address", "tcp+tls://x")];
        let expected = "<30>1 2024-05-06T07:08:09.123456Z dev web 7 web - hi\n";
        assert_eq!(message(&micro, false), format!("{} {expected}", expected.len()));
    }

    #[test]
    fn addresses_get_the_usual_port() {
        for (text, expected) in [
            ("", SyslogAddress::Local),
            ("udp://10.0.2.2", SyslogAddress::Udp("10.0.2.2:514".into())),
            ("tcp://[::1]", SyslogAddress::Tcp("[::1]:514".into())),
            ("tcp://logs:1514", SyslogAddress::Tcp("logs:1514".into())),
            ("tcp+tls://[::1]:6514", SyslogAddress::Tls("[::1]:6514".into())),
            ("unix:///dev/log", SyslogAddress::Unix("/dev/log".into())),
            ("unixgram:///dev/log", SyslogAddress::UnixDatagram("/dev/log".into())),
        ] {
            assert_eq!(address(&config(&[("syslog-address", text)])).unwrap(), expected);
        }
        assert!(address(&config(&[("syslog-address", "tcp://x:port")])).is_err());
    }
}
