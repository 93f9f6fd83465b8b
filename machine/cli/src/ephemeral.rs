//! Machines that live no longer than the command that made them: those of `machine run`.
//!
//! That command holds a lock on `machines/.NAME.ephemeral`, which the kernel releases however the
//! command ends. A process of its own waits for that and removes the machine; if that one is killed
//! too, or the host restarts, the next command of this program does.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;

use machine_lifecycle::driver::Progress;
use machine_lifecycle::{Force, MachineName};
use machine_store::Lock;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::CommandError;
use crate::{Context, clients};

const SUFFIX: &str = ".ephemeral";

/// The hidden command that waits.
pub(crate) const WATCHER: &str = "remove-after";

/// A name under which a machine will be gone when this process is.
pub(crate) struct Ephemeral {
    pub(crate) name: MachineName,
    lock: Lock,
}

impl Ephemeral {
    /// To be called before the machine is made.
    pub(crate) fn begin(context: &Context) -> Result<Self, CommandError> {
        let name = unused_name(context)?;
        let lock = Lock::try_exclusive(&mark(&name, context))
            .map_err(|error| CommandError::failed("a machine cannot be made").because(&error))?;
        if let Err(error) = watch(&name, context) {
            context.ui.note(&format!(
                "warning: if this command is killed, machine \"{name}\" stays until the next \
                 command of this program: {error}"
            ));
        }
        Ok(Self { name, lock })
    }

    pub(crate) async fn remove(self, context: &Context) -> Result<(), CommandError> {
        remove(&self.name, context).await?;
        self.lock.remove();
        Ok(())
    }
}

/// Removes the machines whose command is gone.
pub(crate) async fn sweep(context: &Context) {
    for name in marked(context) {
        // Held: its command is still there, or another one removes it just now.
        let Ok(lock) = Lock::try_exclusive(&mark(&name, context)) else { continue };
        match remove(&name, context).await {
            Ok(()) => lock.remove(),
            Err(error) => context.ui.note(&format!(
                "warning: machine \"{name}\" of a command that is gone was not removed: {}",
                error.message
            )),
        }
    }
}

/// Returns when the command that made the machine is gone.
pub(crate) fn wait_for_end(name: &MachineName, context: &Context) -> std::io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(mark(name, context)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn remove(name: &MachineName, context: &Context) -> Result<(), CommandError> {
    // What is not complete is none yet, and may have parts under other names.
    context.machines.abandon(name).await?;
    if context.machines.exists(name) {
        context.machines.remove(name, Force::No, &Silent).await?;
        clients::sync(context);
    }
    Ok(())
}

fn watch(name: &MachineName, context: &Context) -> std::io::Result<()> {
    let root = context.machines.store().layout().root();
    std::process::Command::new(&context.executable)
        .arg("--storage-path")
        .arg(root)
        .args([WATCHER, name.as_str()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

fn unused_name(context: &Context) -> Result<MachineName, CommandError> {
    use std::hash::{BuildHasher as _, Hasher as _};
    loop {
        // The standard library's hash maps are seeded by the system's random numbers.
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let name: MachineName = format!("run-{:08x}", random >> 32).parse()?;
        if !context.machines.exists(&name) {
            return Ok(name);
        }
    }
}

/// The names of all marks.
fn marked(context: &Context) -> Vec<MachineName> {
    let some = context.machines.store().paths("x");
    let Some(Ok(entries)) = some.directory().parent().map(std::fs::read_dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix('.')?.strip_suffix(SUFFIX)?.parse().ok())
        .collect()
}

fn mark(name: &MachineName, context: &Context) -> PathBuf {
    let paths = context.machines.store().paths(name.as_str());
    paths.directory().with_file_name(format!(".{name}{SUFFIX}"))
}

/// For what nobody watches.
pub(crate) struct Silent;

impl Progress for Silent {
    fn step(&self, _text: &str) {}

    fn warning(&self, _text: &str) {}
}
