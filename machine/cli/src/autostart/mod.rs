//! Machines that start when their user logs in: a systemd user unit or a launchd agent for each.
//!
//! A unit that this program did not write, or wrote for another storage root, is never touched.

mod launchd;
mod systemd;

use std::path::{Path, PathBuf};

use machine_lifecycle::MachineName;
use machine_store::atomic::{self, Access};

use crate::Context;
use crate::doctor::in_path;
use crate::error::CommandError;

/// The longest unit that is read.
const LIMIT: u64 = 64 * 1024;

/// What a unit says.
pub(crate) struct Unit {
    pub(crate) machine: String,
    pub(crate) program: PathBuf,
    pub(crate) storage: PathBuf,
    /// What the program is found and configured by, in the order of the names.
    pub(crate) variables: Vec<(String, String)>,
}

/// When a machine starts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Never,
    AtLogin,
    AtBoot,
}

/// Who starts machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Starter {
    Systemd,
    Launchd,
}

impl Starter {
    const OF_HOST: Self = if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd };
}

/// Writes the unit. The answer is what the user still has to do or know.
pub(crate) async fn enable(
    name: &MachineName,
    boot: bool,
    context: &Context,
) -> Result<Vec<String>, CommandError> {
    let unit = Unit::of(name, context);
    let path = path(name, context)?;
    require_ours(&path, &unit)?;
    match Starter::OF_HOST {
        Starter::Systemd => {
            write(&path, &systemd::text(&unit))?;
            systemd::link(&path)?;
            let mut notes = systemd::tell(context).await;
            if boot {
                notes.extend(systemd::start_at_boot(context).await);
            }
            Ok(notes)
        }
        Starter::Launchd if boot => {
            Err(CommandError::usage("macOS starts a user's programs at login only")
                .hint("leave --boot away; automatic login makes both the same"))
        }
        Starter::Launchd => {
            write(&path, &launchd::text(&unit))?;
            Ok(Vec::new())
        }
    }
}

/// Removes the unit; `false` if there was none.
pub(crate) async fn disable(name: &MachineName, context: &Context) -> Result<bool, CommandError> {
    let removed = forget(name, context)?;
    if removed && Starter::OF_HOST == Starter::Systemd {
        // Without it the user's systemd forgets at the next login.
        let _notes = systemd::tell(context).await;
    }
    Ok(removed)
}

/// Removes the unit's files, for a machine that is removed.
pub(crate) fn forget(name: &MachineName, context: &Context) -> Result<bool, CommandError> {
    let path = path(name, context)?;
    if !is_ours(&path, &Unit::of(name, context))? {
        return Ok(false);
    }
    if Starter::OF_HOST == Starter::Systemd {
        systemd::unlink(&path)?;
    }
    std::fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))?;
    Ok(true)
}

/// Moves the unit of a machine that was renamed, if there is one.
pub(crate) fn rename(
    from: &MachineName,
    to: &MachineName,
    context: &Context,
) -> Result<(), CommandError> {
    if !is_ours(&path(from, context)?, &Unit::of(from, context))? {
        return Ok(());
    }
    let unit = Unit::of(to, context);
    let path = path(to, context)?;
    require_ours(&path, &unit)?;
    match Starter::OF_HOST {
        Starter::Systemd => {
            write(&path, &systemd::text(&unit))?;
            systemd::link(&path)?;
        }
        Starter::Launchd => write(&path, &launchd::text(&unit))?,
    }
    forget(from, context).map(drop)
}

pub(crate) fn status(name: &MachineName, context: &Context) -> Result<When, CommandError> {
    if !is_ours(&path(name, context)?, &Unit::of(name, context))? {
        return Ok(When::Never);
    }
    let at_boot = Starter::OF_HOST == Starter::Systemd && systemd::lingers(context);
    Ok(if at_boot { When::AtBoot } else { When::AtLogin })
}

impl Unit {
    fn of(name: &MachineName, context: &Context) -> Self {
        let kept = ["MACHINE_IMAGE_DIR", "MACHINE_QEMU", "PATH"];
        let variables = kept
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), context.variable(name)?.to_owned())));
        Self {
            machine: name.to_string(),
            program: program(context),
            storage: context.machines.store().layout().root().to_owned(),
            variables: variables.collect(),
        }
    }

    /// In every unit, so that it is known whose it is.
    fn mark(&self) -> String {
        let storage = self.storage.to_string_lossy().replace(['\n', '\r'], " ");
        format!("Written by `machine autostart` for {storage}")
    }
}

/// Where it is found by its name, which stays when an update puts another one there; or its file.
fn program(context: &Context) -> PathBuf {
    let is_this = |found: &PathBuf| {
        let own = context.executable.canonicalize();
        own.is_ok_and(|own| found.canonicalize().is_ok_and(|found| found == own))
    };
    in_path(&context.program(), context)
        .filter(is_this)
        .unwrap_or_else(|| context.executable.clone())
}

fn path(name: &MachineName, context: &Context) -> Result<PathBuf, CommandError> {
    let home = || {
        context.variable("HOME").map(PathBuf::from).or_else(dirs::home_dir).ok_or_else(|| {
            CommandError::failed("there is no home directory").hint("set HOME, then try again")
        })
    };
    Ok(match Starter::OF_HOST {
        Starter::Systemd => {
            let config = match context.variable("XDG_CONFIG_HOME") {
                Some(directory) => PathBuf::from(directory),
                None => home()?.join(".config"),
            };
            config.join("systemd/user").join(systemd::file_name(name.as_str()))
        }
        Starter::Launchd => {
            home()?.join("Library/LaunchAgents").join(launchd::file_name(name.as_str()))
        }
    })
}

fn is_ours(path: &Path, unit: &Unit) -> Result<bool, CommandError> {
    match atomic::read(path, LIMIT) {
        Ok(text) => {
            let mark = match Starter::OF_HOST {
                Starter::Systemd => systemd::mark(unit),
                Starter::Launchd => launchd::mark(unit),
            };
            Ok(text.lines().any(|line| line == mark))
        }
        Err(machine_store::Error::Io { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(false)
        }
        Err(error) => Err(CommandError::failed("a unit cannot be read").because(&error)),
    }
}

/// Refuses to replace a file that is somebody else's.
fn require_ours(path: &Path, unit: &Unit) -> Result<(), CommandError> {
    if path.symlink_metadata().is_ok() && !is_ours(path, unit)? {
        return Err(CommandError::failed(format!(
            "{} is there already, and not for this machine",
            path.display()
        ))
        .hint("remove that file first if nobody needs it"));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(|error| failed("make", directory, &error))?;
    atomic::write(path, text.as_bytes(), Access::Everyone)
        .map_err(|error| CommandError::failed("the unit was not written").because(&error))
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::failed(format!("could not {action} {}", path.display())).because(error)
}

#[cfg(test)]
mod tests;
