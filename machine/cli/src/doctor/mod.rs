//! Looks at everything that machines need. What fails keeps a machine from being made; what is
//! worth a warning makes it slower or something else not work.

mod accelerator;
mod host;
mod machines;
mod qemu;
mod tools;
mod trial;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::Context;

/// What one look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) status: Status,
    pub(crate) text: String,
    pub(crate) fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Warn,
    /// No machine can be made.
    Fail,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Finding {
    pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, text: text.into(), fix: None }
    }

    pub(crate) fn warn(
        check: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { check, status: Status::Warn, text: text.into(), fix: Some(fix.into()) }
    }

    pub(crate) fn fail(
        check: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { check, status: Status::Fail, text: text.into(), fix: Some(fix.into()) }
    }
}

/// Everything, in the order in which things depend on each other.
pub(crate) async fn examine(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (qemu, found) = qemu::examine().await;
    findings.extend(qemu);
    findings.extend(accelerator::examine(found.as_ref()).await);
    findings.extend(accelerator::remembered(context));
    findings.push(host::image(context));
    findings.extend(host::storage(context));
    findings.push(host::memory(context));
    findings.push(host::ports());
    findings.extend(tools::examine(context).await);
    findings.extend(machines::examine(context).await);
    findings
}

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(10);

/// What a program says before its time is over.
async fn output(program: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    let run = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(LIMIT, run).await {
        Ok(output) => output,
        Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer")),
    }
}

/// A program in the user's `PATH`.
pub(crate) fn in_path(name: &str, context: &Context) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    std::env::split_paths(context.variable("PATH")?).map(|directory| directory.join(name)).find(
        |path| {
            path.metadata()
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        },
    )
}

/// An error and its causes on one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
