//! What libcontainer logs about a failure: the errors it returns name a step, its log the reason.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

/// No more of the log is looked at.
const LOG_BYTES: usize = 4096;

/// Collects the log of this process and of those it forks.
#[derive(Debug)]
pub(crate) struct Failures {
    log: OwnedFd,
}

/// Writes errors to a pipe, one a line.
struct ErrorPipe(OwnedFd);

impl Failures {
    /// Begins collecting; only once in a process.
    pub(crate) fn collect() -> std::io::Result<Self> {
        let (log, pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        tracing::subscriber::set_global_default(ErrorPipe(pipe)).map_err(std::io::Error::other)?;
        Ok(Self { log })
    }

    /// The first error, which is the one that led to the others.
    pub(crate) fn first(&self) -> Option<String> {
        let mut buffer = [0; LOG_BYTES];
        let length = rustix::io::read(&self.log, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
    }
}

impl Subscriber for ErrorPipe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!("{}{}\n", line.message, line.fields).replace("\n ", " ");
        // A full or closed pipe loses a detail of an error that is reported anyway.
        rustix::io::write(&self.0, text.as_bytes()).ok();
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, ", {}: {value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_told_with_its_reason() {
        let failures = Failures::collect().unwrap();
        tracing::info!("nothing");
        tracing::error!(err = ?"ENOENT", path = "/x", "failed to mount");
        tracing::error!("failed to create");
        assert_eq!(
            failures.first().as_deref(),
            Some(r#"failed to mount, err: "ENOENT", path: "/x""#)
        );
        assert_eq!(failures.first(), None);
    }
}
