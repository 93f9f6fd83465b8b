//! `machine import`: a machine of a file that `export` wrote.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use machine_lifecycle::MachineName;

use super::create::interruption;
use super::{DONE, Outcome};
use crate::error::{CommandError, Exit};
use crate::{Context, clients};

/// Make a machine of an exported file, with keys and ports of its own
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file, or - for stdin
    file: PathBuf,

    /// What to call it; its old name otherwise
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name: Option<MachineName> = args.name.as_deref().map(str::parse).transpose()?;
    let mut input: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(&args.file).map_err(|error| {
            let message = format!("{} cannot be read", args.file.display());
            CommandError::failed(message).because(&error)
        })?;
        Box::new(file)
    };
    let progress = context.ui.progress(args.name.as_deref().unwrap_or("import"));
    let interrupted = interruption()?;
    let imported = tokio::select! {
        imported = context.machines.import(&mut *input, name.as_ref(), &progress) => imported,
        () = interrupted => {
            let message = "interrupted; nothing was left behind";
            return Err(CommandError::new(Exit::Interrupted, message));
        }
    };
    drop(progress);
    let name = imported?;
    clients::sync(context);
    let program = context.program();
    context
        .ui
        .result(&format!("Machine \"{name}\" was imported. Start it: {program} start {name}"));
    DONE
}
