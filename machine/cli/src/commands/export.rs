//! `machine export`: a machine as one file.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;

use machine_lifecycle::Destination;

use super::create::interruption;
use super::{DONE, Outcome, names};
use crate::error::{CommandError, Exit};
use crate::{Context, Ui};

/// Write a machine to a file, to be imported elsewhere
///
/// Its disk and its configuration are written, compressed; its keys and its snapshots are not. A
/// running machine goes on, and its disk is written as it was at one moment.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine
    name: String,

    /// The file, or - for stdout
    file: PathBuf,

    /// Write over a file that is there
    #[arg(short, long)]
    force: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::existing(&args.name, context)?;
    let mut stdout = Stdout(&context.ui);
    let destination = if args.file.as_os_str() == "-" {
        if std::io::stdout().is_terminal() {
            return Err(CommandError::usage("this is nothing for a terminal")
                .hint(format!("name a file: machine export {name} {name}.machine")));
        }
        Destination::Stream(&mut stdout)
    } else if args.force {
        Destination::Replace(&args.file)
    } else {
        Destination::New(&args.file)
    };
    let progress = context.ui.progress(name.as_str());
    let interrupted = interruption()?;
    let exported = tokio::select! {
        exported = context.machines.export(&name, destination, &progress) => exported,
        () = interrupted => {
            return Err(CommandError::new(Exit::Interrupted, "interrupted; no file was written"));
        }
    };
    drop(progress);
    if let Err(machine_lifecycle::Error::FileExists { path }) = exported {
        let message = format!("{} exists already", path.display());
        return Err(CommandError::failed(message).hint("name another file, or give --force"));
    }
    exported?;
    if args.file.as_os_str() != "-" {
        let file = args.file.display();
        context.ui.result(&format!("Machine \"{name}\" was written to {file}."));
    }
    DONE
}

/// Stdout, of which only the user interface knows.
struct Stdout<'a>(&'a Ui);

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.raw_result(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
