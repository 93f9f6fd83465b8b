//! Who may do what: some clients may only look.

use http::{Method, StatusCode};

use crate::error::HttpError;
use crate::routes::Target;

/// What the client behind a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    Full,
    /// Nothing that changes anything.
    LookOnly,
}

/// What a route does to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that anybody else would notice.
    Looks,
    /// It changes something, or hands the client a stream on which it can.
    Changes,
}

impl Rights {
    /// Whether a request may go on to what was found for it. Where nothing was found the method
    /// decides, so that a client who may only look hears the same about whatever there is not.
    pub(crate) fn check(
        self,
        method: &Method,
        path: &str,
        found: &Result<Target, HttpError>,
    ) -> Result<(), HttpError> {
        let effect = match found {
            Ok(target) => target.effect,
            Err(_) if *method == Method::GET || *method == Method::HEAD => Effect::Looks,
            Err(_) => Effect::Changes,
        };
        match (self, effect) {
            (Rights::Full, _) | (Rights::LookOnly, Effect::Looks) => Ok(()),
            (Rights::LookOnly, Effect::Changes) => Err(HttpError {
                status: StatusCode::FORBIDDEN,
                message: format!(
                    "permission denied: this client certificate may only look (its role is \
                     viewer), and {method} {path} may change something"
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes;

    fn refused(method: Method, path: &str) -> bool {
        let found = routes::find(&method, path);
        let full = Rights::Full.check(&method, path, &found);
        assert_eq!(full, Ok(()), "{method} {path} is refused to everybody");
        match Rights::LookOnly.check(&method, path, &found) {
            Ok(()) => false,
            Err(error) => {
                assert_eq!(error.status, StatusCode::FORBIDDEN);
                true
            }
        }
    }

    #[test]
    fn a_viewer_may_look_at_everything_and_wait() {
        for path in [
            "/_ping",
            "/info",
            "/events",
            "/containers/json",
            "/containers/web/json",
            "/containers/web/logs",
            "/containers/web/top",
            "/containers/web/archive",
            "/images/a/b:1/json",
            "/images/get",
            "/networks",
            "/volumes/v1",
            "/nonsense",
        ] {
            assert!(!refused(Method::GET, path), "{path}");
        }
        assert!(!refused(Method::HEAD, "/_ping"));
        assert!(!refused(Method::HEAD, "/containers/web/archive"));
        assert!(!refused(Method::POST, "/containers/web/wait"));
    }

    #[test]
    fn a_viewer_may_change_nothing_whether_it_exists_or_not() {
        assert!(refused(Method::GET, "/containers/web/attach/ws"), "its input would be a change");
        for path in [
            "/containers/create",
            "/containers/web/start",
            "/containers/web/attach",
            "/containers/web/exec",
            "/containers/web/resize",
            "/exec/abc/start",
            "/images/create",
            "/images/a/b/push",
            "/networks/create",
            "/volumes/prune",
            "/auth",
            "/session",
            "/grpc",
            "/build",
            "/swarm/init",
            "/services/create",
            "/nonsense",
        ] {
            assert!(refused(Method::POST, path), "{path}");
        }
        for path in ["/containers/web", "/images/a/b:1", "/volumes/v1", "/nonsense"] {
            assert!(refused(Method::DELETE, path), "{path}");
        }
        assert!(refused(Method::PUT, "/containers/web/archive"));
        assert!(refused(Method::PATCH, "/info"));
    }
}
