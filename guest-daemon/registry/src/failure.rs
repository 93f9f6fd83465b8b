//! What can go wrong with a registry, and how it is told: in the words of dockerd.

use std::time::Duration;

use engine::{Error, Kind};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, Url};
use serde::Deserialize;

use crate::addresses::shown;
use crate::challenge;
use crate::documents::read_bounded;
use crate::unreachable;

/// Longer complaints are cut.
const LONGEST_MESSAGE: usize = 1024;
const LONGEST_BODY: usize = 64 * 1024;

/// What asking a registry comes to.
pub(crate) type Asked<T> = Result<T, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// There was no answer, or its end is missing.
    Unreachable(Silence),
    /// The registry cannot just now.
    Broken { status: String },
    /// The registry says no.
    Refused(Refusal),
    /// What it says cannot be, or is not wanted. Asking again does not help.
    Wrong(Error),
}

#[derive(Debug)]
pub(crate) struct Silence {
    /// What was asked, when that says more than the reason alone.
    asked: Option<Box<(Method, Url)>>,
    why: String,
    /// There was somebody, who then fell silent.
    connected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `MANIFEST_UNKNOWN`
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: u16,
    /// `Get "https://…": `, when it was not that itself that was refused.
    pub(crate) during: String,
    /// How long to wait, if the registry says so.
    pub(crate) after: Option<Duration>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    errors: Option<Vec<Complaint>>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Failure {
    pub(crate) fn wrong(message: impl Into<String>) -> Self {
        Self::Wrong(Error::invalid(message))
    }

    pub(crate) fn refused(code: &str, message: &str) -> Self {
        let message = if message.is_empty() { usual_message(code) } else { message };
        let (code, message) = (code.to_owned(), clean(message));
        let during = String::new();
        Self::Refused(Refusal { code, message, status: 0, during, after: None })
    }

    /// No answer came. `direct` unless there may be a proxy.
    pub(crate) async fn unanswered(
        method: &Method,
        url: &Url,
        error: &reqwest::Error,
        direct: bool,
    ) -> Self {
        let why = unreachable::why(url, error, direct).await;
        let asked = Some(Box::new((method.clone(), url.clone())));
        Self::Unreachable(Silence { asked, why, connected: !error.is_connect() })
    }

    /// The answer broke.
    pub(crate) fn transport(method: &Method, url: &Url, error: &reqwest::Error) -> Self {
        Self::silent(method, url, unreachable::shown(error))
    }

    /// It took too long.
    pub(crate) fn stalled(method: &Method, url: &Url) -> Self {
        Self::silent(method, url, "no answer in time".to_owned())
    }

    /// What was promised did not come.
    pub(crate) fn short(why: String) -> Self {
        Self::Unreachable(Silence { asked: None, why, connected: true })
    }

    fn silent(method: &Method, url: &Url, why: String) -> Self {
        let asked = Some(Box::new((method.clone(), url.clone())));
        Self::Unreachable(Silence { asked, why, connected: true })
    }

    /// Whoever takes no connection was not asked for anything yet. dockerd asks for `greeting`
    /// before anything else, and tells of that.
    pub(crate) fn at_first(self, greeting: &Url) -> Self {
        match self {
            Self::Unreachable(Silence { asked: Some(asked), why, connected: false })
                if asked.1.origin() == greeting.origin() =>
            {
                let asked = Some(Box::new((Method::GET, greeting.clone())));
                Self::Unreachable(Silence { asked, why, connected: false })
            }
            other => other,
        }
    }

    /// Says what was asked when it went wrong.
    pub(crate) fn during(self, method: &Method, url: &Url) -> Self {
        let before = during(method, url);
        match self {
            Self::Refused(refusal) => Self::Refused(Refusal { during: before, ..refusal }),
            Self::Wrong(error) => Self::Wrong(Error::new(error.kind(), format!("{before}{error}"))),
            other => other,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken { .. } => true,
            Self::Refused(refusal) => refusal.code == "TOOMANYREQUESTS" && refusal.after.is_some(),
            Self::Wrong(_) => false,
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == 404)
    }

    /// The answer as a failure. Its status is not a success.
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status();
        if !status.is_client_error() {
            return Self::Broken { status: status.to_string() };
        }
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| Some(Duration::from_secs(value.to_str().ok()?.trim().parse().ok()?)));
        let challenged = challenge::error(response.headers());
        let json = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.contains("json"));
        // A body that cannot be read says nothing.
        let body = read_bounded(response, LONGEST_BODY).await.unwrap_or_default();
        let failure = challenged.unwrap_or_else(|| complaint(status.as_u16(), json, &body));
        match failure {
            Self::Refused(refusal) => {
                Self::Refused(Refusal { after, status: status.as_u16(), ..refusal })
            }
            other => other,
        }
    }
}

/// `Get "https://…": `, as Go says it.
fn during(method: &Method, url: &Url) -> String {
    let lower = method.as_str().to_ascii_lowercase();
    let (first, rest) = lower.split_at(1);
    format!("{}{rest} \"{}\": ", first.to_ascii_uppercase(), shown(url))
}

fn complaint(status: u16, json: bool, body: &[u8]) -> Failure {
    let by_status = match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        429 => "TOOMANYREQUESTS",
        _ => "UNKNOWN",
    };
    let text = String::from_utf8_lossy(body);
    let document = serde_json::from_slice::<Document>(body).ok().filter(|_| json);
    let Some(document) = document else {
        let missing = format!("the registry answered with status {status}");
        let text =
            if text.trim().is_empty() && by_status == "UNKNOWN" { &*missing } else { &*text };
        return Failure::refused(by_status, text.trim());
    };
    if let Some(details) = document.details.filter(|details| !details.is_empty()) {
        return Failure::refused(by_status, &details);
    }
    match document.errors.unwrap_or_default().into_iter().next() {
        Some(first) if is_known(&first.code) => Failure::refused(&first.code, &first.message),
        Some(first) => Failure::refused(by_status, &first.message),
        None => Failure::refused(by_status, text.trim()),
    }
}

fn is_known(code: &str) -> bool {
    !usual_message(code).is_empty()
}

fn usual_message(code: &str) -> &'static str {
    match code {
        "UNAUTHORIZED" => "authentication required",
        "DENIED" => "requested access to the resource is denied",
        "TOOMANYREQUESTS" => "too many requests",
        "UNSUPPORTED" => "The operation is unsupported.",
        "UNAVAILABLE" => "service unavailable",
        "MANIFEST_UNKNOWN" => "manifest unknown",
        "MANIFEST_INVALID" => "manifest invalid",
        "MANIFEST_BLOB_UNKNOWN" => "blob unknown to registry",
        "MANIFEST_UNVERIFIED" => "manifest failed signature verification",
        "NAME_UNKNOWN" => "repository name not known to registry",
        "NAME_INVALID" => "invalid repository name",
        "TAG_INVALID" => "manifest tag did not match URI",
        "BLOB_UNKNOWN" => "blob unknown to registry",
        "BLOB_UPLOAD_UNKNOWN" => "blob upload unknown to registry",
        "BLOB_UPLOAD_INVALID" => "blob upload invalid",
        "DIGEST_INVALID" => "provided digest did not match uploaded content",
        "SIZE_INVALID" => "provided length did not match content length",
        "UNKNOWN" => "unknown error",
        _ => "",
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(silence) => Error::new(Kind::Internal, silence.text()),
            Failure::Broken { status } => {
                Error::new(Kind::Internal, format!("received unexpected HTTP status: {status}"))
            }
            Failure::Refused(refusal) => {
                let kind = match refusal.code.as_str() {
                    "UNAUTHORIZED" => Kind::Unauthorized,
                    "DENIED" => Kind::Forbidden,
                    "TOOMANYREQUESTS" => Kind::TooManyRequests,
                    "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN" => Kind::NotFound,
                    _ => Kind::Internal,
                };
                Error::new(kind, refusal.text())
            }
            Failure::Wrong(error) => error,
        }
    }
}

impl Silence {
    fn text(&self) -> String {
        let asked = self.asked.as_ref().map(|asked| during(&asked.0, &asked.1));
        format!("{}{}", asked.unwrap_or_default(), self.why)
    }
}

impl Refusal {
    /// `manifest unknown: manifest unknown`
    pub(crate) fn text(&self) -> String {
        let wait = match self.after {
            Some(after) if self.code == "TOOMANYREQUESTS" => {
                format!(" (the registry says: again in {} seconds)", after.as_secs())
            }
            _ => String::new(),
        };
        let code = self.code.to_ascii_lowercase().replace('_', " ");
        format!("{}{code}: {}{wait}", self.during, self.message)
    }
}

/// What a registry says may end on a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| if letter == '\n' || letter == '\t' { ' ' } else { letter })
        .filter(|letter| !letter.is_control())
        .take(LONGEST_MESSAGE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(failure: Failure) -> String {
        Error::from(failure).to_string()
    }

    #[test]
    fn complaints_are_told_in_dockerds_words() {
        let denied = br#"{"errors":[{"code":"DENIED","message":""},{"code":"UNAUTHORIZED"}]}"#;
        assert_eq!(
            text(complaint(401, true, denied)),
            "denied: requested access to the resource is denied"
        );
        let unknown = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        assert_eq!(text(complaint(404, true, unknown)), "manifest unknown: manifest unknown");
        let details = br#"{"details":"incorrect username or password"}"#;
        assert_eq!(
            text(complaint(401, true, details)),
            "unauthorized: incorrect username or password"
        );
        assert_eq!(text(complaint(429, false, b"slow down")), "toomanyrequests: slow down");
        assert_eq!(
            text(complaint(404, false, b"")),
            "unknown: the registry answered with status 404"
        );
    }

    #[test]
    fn a_complaint_cannot_write_to_the_terminal_or_go_on_for_ever() {
        let failure = complaint(403, false, format!("\x1b[2J{}", "a".repeat(5000)).as_bytes());
        let text = text(failure);
        assert!(!text.contains('\x1b') && text.len() < 1100, "{text}");
    }
}
