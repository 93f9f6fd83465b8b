//! `machine man`: manual pages, one for each command.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{DONE, Outcome};
use crate::Context;
use crate::arguments::Cli;
use crate::error::CommandError;

/// Write the manual pages to a directory
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to write them, for example ~/.local/share/man/man1
    #[arg(value_name = "DIR", required_unless_present = "dir")]
    directory: Option<PathBuf>,

    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "directory")]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let directory = args.directory.as_deref().or(args.dir.as_deref()).unwrap_or(Path::new("."));
    let count = write(directory).map_err(|error| {
        CommandError::failed(format!("no manual pages were written to {}", directory.display()))
            .because(&error)
    })?;
    context.ui.result(&format!("{count} manual pages were written to {}", directory.display()));
    DONE
}

fn write(directory: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(directory)?;
    let mut command = Cli::command().name("machine").disable_help_subcommand(true);
    command.build();
    pages(&command, directory)
}

fn pages(command: &clap::Command, directory: &Path) -> io::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = directory.join(format!("{name}.1"));
    let page = Man::new(command.clone()).manual("Docker machines").source("machine");
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(path, text)?;
    let mut count = 1;
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        count += pages(command, directory)?;
    }
    Ok(count)
}
