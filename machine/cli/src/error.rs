//! What the user sees of a failure, and the exit code.

use machine_lifecycle::driver::DriverError;
use machine_lifecycle::{Error, Kind};

/// `error`, `because`, `hint`.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    /// The last lines of a guest's console.
    pub(crate) console: Vec<String>,
    pub(crate) hint: Option<String>,
    /// What docker-machine said, where scripts may look for more than the message has.
    pub(crate) original: Option<Box<str>>,
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

/// Whose command line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Our own.
    Machine,
    /// That of docker-machine, because the program was called so.
    DockerMachine,
}

impl CommandError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            console: Vec::new(),
            hint: None,
            original: None,
            exit,
        }
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

    /// How docker-machine worded it.
    pub(crate) fn originally(mut self, text: impl Into<Box<str>>) -> Self {
        self.original = Some(text.into());
        self
    }

    /// The same, as docker-machine introduced it in some commands.
    pub(crate) fn originally_after(self, prefix: &str) -> Self {
        let text = self.original.clone().unwrap_or_else(|| self.in_one_line().into());
        self.originally(format!("{prefix}{text}"))
    }

    /// What and why, as docker-machine put it.
    fn in_one_line(&self) -> String {
        let message = std::iter::once(self.message.as_str());
        message.chain(self.causes.iter().map(String::as_str)).collect::<Vec<_>>().join(": ")
    }

    pub(crate) fn code(&self) -> u8 {
        self.exit as u8
    }

    /// docker-machine had few codes.
    pub(crate) fn code_in(&self, manner: Manner) -> u8 {
        match (manner, self.exit) {
            (Manner::Machine, _) => self.code(),
            (Manner::DockerMachine, exit @ (Exit::PreCreateCheck | Exit::Interrupted)) => {
                exit as u8
            }
            (Manner::DockerMachine, _) => Exit::Failed as u8,
        }
    }

    /// What the host cannot do is found out before anything is made.
    pub(crate) fn of_create(error: Error) -> Self {
        let kind = error.kind();
        let mut error = Self::from(error);
        match kind {
            Kind::Unavailable => {
                let original = format!("Error with pre-create check: {:?}", error.in_one_line());
                error.message = format!("pre-create check failed: {}", error.message);
                error.exit = Exit::PreCreateCheck;
                error.originally(original)
            }
            Kind::InvalidArgument => error.originally_after("Error creating machine: "),
            _ => error,
        }
    }
}

impl CommandError {
    /// Of a command that goes through SSH.
    pub(crate) fn of_ssh(error: Error) -> Self {
        let original = match &error {
            Error::NotRunning { name, .. } => {
                Some(format!("Error: Cannot run SSH command: Host \"{name}\" is not running"))
            }
            _ => None,
        };
        let error = Self::from(error);
        match original {
            Some(original) => error.originally(original),
            None => error,
        }
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
        failure.original = original(&error).map(String::into_boxed_str);
        failure
    }
}

/// Only where docker-machine's text is more than ours or another one.
fn original(error: &Error) -> Option<String> {
    match error {
        Error::NotFound { name } => Some(no_such_machine(name.as_str())),
        Error::NotRunning { .. } => Some("Host is not running".to_owned()),
        Error::ClientCertificate { name, source } => Some(format!(
            "There was an error validating certificates for host \"{name}\": {source}\nYou can \
             attempt to regenerate them using 'docker-machine regenerate-certs [name]'."
        )),
        Error::Driver { source: DriverError::QemuMissing { program }, .. } => {
            Some(format!("{program} not found. Make sure QEMU is installed and in the path"))
        }
        _ => None,
    }
}

/// docker-machine's text.
pub(crate) fn no_such_machine(name: &str) -> String {
    format!(
        "Docker machine \"{name}\" does not exist. Use \"docker-machine ls\" to list machines. \
         Use \"docker-machine create\" to add a new one."
    )
}
