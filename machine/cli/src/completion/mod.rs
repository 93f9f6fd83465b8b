//! What a shell offers when TAB is pressed. Only local files are looked at.
//!
//! The scripts that `machine completion` prints call this program with [`VARIABLE`] set to the
//! shell's name and the words of the line after `--`.

mod names;
mod nushell;

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::engine::ArgValueCandidates;
use clap_complete::env::{Bash, CompleteEnv, Elvish, Fish, Powershell, Shells, Zsh};

use crate::arguments::Cli;
use names::{Which, names};
use nushell::Nushell;

const VARIABLE: &str = "MACHINE_COMPLETE";

const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Nushell, &Powershell, &Zsh]);

/// The arguments that name machines.
const MACHINES: [&str; 5] = ["name", "names", "from", "machine", "machines"];

/// Commands whose names are those of machines to come.
const NEW: [&str; 2] = ["create", "import"];

/// Commands that do something with what runs only.
const RUNNING: [&str; 5] = ["kill", "pause", "stop", "suspend", "unpause"];

/// Answers a shell that asks for completions; `false` if none has asked.
#[must_use]
pub fn complete() -> bool {
    let directory = std::env::current_dir().ok();
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .shells(SHELLS)
        .try_complete(std::env::args_os(), directory.as_deref())
        // A shell that asks has no use for an error.
        .unwrap_or(true)
}

/// The script for a shell, which calls `completer` to complete `program`.
pub(crate) fn script(shell: &str, program: &str, completer: &Path) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    if let Some(shell) = SHELLS.completer(shell) {
        let completer = completer.to_string_lossy();
        shell.write_registration(VARIABLE, program, program, &completer, &mut script)?;
    }
    Ok(script)
}

fn command() -> clap::Command {
    with_names(Cli::command(), false)
}

/// Tells of every argument that names machines where the names are.
fn with_names(command: clap::Command, is_new: bool) -> clap::Command {
    let which = if RUNNING.contains(&command.get_name()) { Which::Running } else { Which::All };
    let command = command.mut_args(|argument| {
        let names_machines = MACHINES.contains(&argument.get_id().as_str());
        if argument.is_positional() && names_machines && !is_new {
            argument.add(ArgValueCandidates::new(move || names(which)))
        } else {
            argument
        }
    });
    command.mut_subcommands(|command| {
        let is_new = is_new || NEW.contains(&command.get_name());
        with_names(command, is_new)
    })
}

#[cfg(test)]
mod tests;
