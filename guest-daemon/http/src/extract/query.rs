//! Docker's query dialect.

use std::str::FromStr;

use crate::error::HttpError;

/// The parameters in their order, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, HttpError> {
        let mut parameters = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.push((decode(name)?, decode(value)?));
        }
        Ok(Self(parameters))
    }

    /// The first value, `None` when the parameter is absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The first value, empty when the parameter is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(given, _)| given == name).map(|(_, v)| v.clone()).collect()
    }

    /// Absent, empty, `0`, `no`, `false` and `none` are false, everything else is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.text(name).trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// Like [`Self::flag`], but `default` when the parameter is absent.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> bool {
        if self.get(name).is_some() { self.flag(name) } else { default }
    }

    /// `None` when absent or empty; an error when it is not a number of this kind.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, HttpError> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                HttpError::invalid(format!("invalid value {text:?} for {name}: invalid syntax"))
            }),
        }
    }

    /// A time, in nanoseconds since 1970; `None` when absent, empty or `0`.
    pub(crate) fn time(&self, name: &str, now: i128) -> Result<Option<i128>, HttpError> {
        match self.text(name) {
            "" | "0" => Ok(None),
            text => engine::time::moment(text, now).map(Some).ok_or_else(|| {
                HttpError::invalid(format!("invalid value for \"{name}\": {text:?} is not a time"))
            }),
        }
    }
}

/// `None` for a broken escape or bytes that are not UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

fn decode(text: &str) -> Result<String, HttpError> {
    percent_decode(&text.replace('+', " "))
        .ok_or_else(|| HttpError::invalid(format!("invalid URL escape in {text:?}")))
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
