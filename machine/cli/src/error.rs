//! What the user sees of a failure, and the exit code.

use machine_lifecycle::{Error, Kind};

/// `error`, `because`, `hint`.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    /// The last lines of a guest's console.
    pub(crate) console: Vec<String>,
    pub(crate) hint: Option<String>,
    exit: Exit,
}

/// Exit codes are part of the command line's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    PreCreateCheck = 3,
    NoSuchMachine = 4,
    WrongState = 5,
    Timeout = 6,
    Busy = 7,
    /// As shells say it of SIGINT.
    Interrupted = 130,
}

impl CommandError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), console: Vec::new(), hint: None, exit }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Names what is wrong and all of its causes.
    pub(crate) fn because(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            let text = cause.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn code(&self) -> u8 {
        self.exit as u8
    }

    /// What the host cannot do is found out before anything is made.
    pub(crate) fn of_create(error: Error) -> Self {
        let unavailable = error.kind() == Kind::Unavailable;
        let mut error = Self::from(error);
        if unavailable {
            error.message = format!("pre-create check failed: {}", error.message);
            error.exit = Exit::PreCreateCheck;
        }
        error
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            Kind::InvalidArgument => Exit::Usage,
            Kind::NotFound => Exit::NoSuchMachine,
            Kind::WrongState => Exit::WrongState,
            Kind::Timeout => Exit::Timeout,
            Kind::Busy => Exit::Busy,
            Kind::Unavailable | Kind::Conflict | Kind::Failed => Exit::Failed,
        };
        let mut failure = Self::new(exit, error.to_string());
        if let Some(cause) = std::error::Error::source(&error) {
            failure = failure.because(cause);
        }
        failure.console = error.console().to_vec();
        failure.hint = error.hint();
        failure
    }
}
