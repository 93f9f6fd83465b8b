//! systemd's user units.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::{Unit, failed};
use crate::Context;
use crate::error::CommandError;

/// What a login starts.
const TARGET: &str = "default.target";

/// How long systemd may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn file_name(machine: &str) -> String {
    format!("machine@{machine}.service")
}

/// The line by which a unit is known.
pub(super) fn mark(unit: &Unit) -> String {
    format!("# {}", unit.mark())
}

pub(super) fn text(unit: &Unit) -> String {
    let program = quoted(&unit.program.to_string_lossy());
    let storage = quoted(&unit.storage.to_string_lossy());
    let machine = &unit.machine;
    let variables: String = unit
        .variables
        .iter()
        // Of these, systemd expands `%` only.
        .map(|(name, value)| format!("Environment={}\n", escaped(&format!("{name}={value}"))))
        .collect();
    // 5: it runs, or does not, already.
    format!(
        "{}\n\
         [Unit]\n\
         Description=Docker machine {machine}\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         {variables}\
         ExecStart={program} --storage-path {storage} start {machine}\n\
         ExecStop=-{program} --storage-path {storage} stop {machine}\n\
         SuccessExitStatus=5\n\
         TimeoutStartSec=180\n\
         TimeoutStopSec=60\n\
         \n\
         [Install]\n\
         WantedBy={TARGET}\n",
        mark(unit)
    )
}

/// What `systemctl enable` does.
pub(super) fn link(unit: &Path) -> Result<(), CommandError> {
    let link = link_path(unit);
    if let Some(directory) = link.parent() {
        std::fs::create_dir_all(directory).map_err(|error| failed("make", directory, &error))?;
    }
    match std::os::unix::fs::symlink(unit, &link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(failed("make", &link, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn unlink(unit: &Path) -> Result<(), CommandError> {
    let link = link_path(unit);
    match std::fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &link, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn link_path(unit: &Path) -> PathBuf {
    let directory = unit.parent().unwrap_or(Path::new("."));
    directory.join(format!("{TARGET}.wants")).join(unit.file_name().unwrap_or_default())
}

/// Has the user's systemd look at its units; answers with what is to be known if it cannot.
pub(super) async fn tell(context: &Context) -> Vec<String> {
    let runs = context
        .variable("XDG_RUNTIME_DIR")
        .is_some_and(|directory| Path::new(directory).join("systemd/private").exists());
    if !runs {
        return vec![
            "The user's systemd does not run here; the unit is used when it does.".to_owned(),
        ];
    }
    match succeeds("systemctl", &["--user", "daemon-reload"], context).await {
        Ok(()) => Vec::new(),
        Err(reason) => {
            vec![format!("systemd was not told ({reason}); it sees the change at the next login.")]
        }
    }
}

/// Has the user's systemd run from boot on, not from login.
pub(super) async fn start_at_boot(context: &Context) -> Vec<String> {
    if lingers(context) {
        return Vec::new();
    }
    match succeeds("loginctl", &["--no-ask-password", "enable-linger"], context).await {
        Ok(()) => Vec::new(),
        Err(reason) => vec![format!(
            "It starts at login. For a start at boot run: sudo loginctl enable-linger {} ({reason})",
            user(context).map_or_else(uid, str::to_owned)
        )],
    }
}

pub(super) fn lingers(context: &Context) -> bool {
    user(context).is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists())
}

fn user(context: &Context) -> Option<&str> {
    context.variable("USER").or_else(|| context.variable("LOGNAME"))
}

/// Which loginctl takes as well as a name.
fn uid() -> String {
    rustix::process::getuid().as_raw().to_string()
}

async fn succeeds(program: &str, arguments: &[&str], context: &Context) -> Result<(), String> {
    let run = tokio::process::Command::new(program)
        .args(arguments)
        .envs(&context.variables)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(LIMIT, run).await {
        Err(_) => Err(format!("{program} did not answer")),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().next_back().unwrap_or("it failed").trim();
            Err(format!("{program}: {line}"))
        }
    }
}

/// A word of a command line: `$` would be expanded too.
fn quoted(text: &str) -> String {
    escaped(&text.replace('$', "$$"))
}

fn escaped(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
