//! `machine logs`: what the guest wrote to its console.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use machine_lifecycle::State;

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Between two looks at a file that grows; there is no portable way to be told.
const LOOK: Duration = Duration::from_millis(200);

/// Print the console of a machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,

    /// Go on printing until the machine stops
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let path = context.machines.console(&name)?;
    let failed = |error: std::io::Error| {
        CommandError::failed(format!("{} could not be read", path.display())).because(&error)
    };
    let mut file = open(&path).map_err(failed)?;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        // First the state, then what is there: nothing written before the stop is missed.
        let stopped = !args.follow || context.machines.status(&name).await? == State::Stopped;
        if copy(file.as_mut(), context).map_err(failed)?.is_break() || stopped {
            return DONE;
        }
        looks.tick().await;
        if replaced(file.as_ref(), &path) {
            file = open(&path).map_err(failed)?;
        }
    }
}

/// A machine that has never booted has no console yet.
fn open(path: &Path) -> std::io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Prints what is there now. Breaks when nobody reads.
fn copy(file: Option<&mut File>, context: &Context) -> std::io::Result<std::ops::ControlFlow<()>> {
    let Some(file) = file else { return Ok(std::ops::ControlFlow::Continue(())) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(std::ops::ControlFlow::Continue(()));
        }
        if context.ui.raw_result(bytes).is_err() {
            return Ok(std::ops::ControlFlow::Break(()));
        }
    }
}

/// Each boot begins a new console.
fn replaced(file: Option<&File>, path: &Path) -> bool {
    let Ok(named) = path.metadata() else { return false };
    match file.and_then(|file| file.metadata().ok()) {
        Some(held) => held.ino() != named.ino() || held.dev() != named.dev(),
        None => true,
    }
}
