//! From the command line to a command.

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use crate::commands::Command;

/// Docker machines on this computer.
#[derive(Debug, Parser)]
#[command(version, disable_version_flag = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Where machines are stored [env: MACHINE_STORAGE_PATH] [default: ~/.machine]
    #[arg(short, long, value_name = "DIR", global = true)]
    pub(crate) storage_path: Option<PathBuf>,

    /// Print the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The name under which the program was called.
pub(crate) fn program(arguments: &[String]) -> String {
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    name.map_or_else(|| "machine".into(), |name| name.to_string_lossy().into_owned())
}

pub(crate) fn parse(arguments: &[String]) -> Result<Cli, clap::Error> {
    let mut command = command(arguments);
    let arguments = with_two_dashes(&command, arguments);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches)
}

pub(crate) fn help(arguments: &[String]) -> String {
    command(arguments).render_help().to_string().trim_end().to_owned()
}

fn command(arguments: &[String]) -> clap::Command {
    let program = program(arguments);
    Cli::command().name(program.clone()).bin_name(program)
}

/// docker-machine also took `-driver` for `--driver`. What goes to `ssh` is not looked at.
fn with_two_dashes(command: &clap::Command, arguments: &[String]) -> Vec<String> {
    let long: std::collections::BTreeSet<&str> = std::iter::once(command)
        .chain(command.get_subcommands())
        .flat_map(clap::Command::get_arguments)
        .flat_map(|argument| {
            argument.get_long().into_iter().chain(argument.get_all_aliases().unwrap_or_default())
        })
        .chain(["help", "version"])
        .collect();
    let mut verbatim = false;
    arguments
        .iter()
        .map(|argument| {
            verbatim = verbatim || argument == "ssh" || argument == "--";
            let name = argument.strip_prefix('-').filter(|rest| rest.len() > 1);
            let name = name.map(|rest| rest.split_once('=').map_or(rest, |(name, _)| name));
            match name {
                Some(name) if !verbatim && long.contains(name) => format!("-{argument}"),
                Some(_) | None => argument.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_work_with_one_dash_and_after_names() {
        for line in [
            "machine create -driver qemu -memory=512 dev",
            "machine create dev --qemu-memory 512 --qemu-cpu-count 1 --qemu-disk-size 5000",
            "docker-machine -storage-path /x ls -q",
            "machine ls -s /x",
        ] {
            assert!(parsed(line).is_ok(), "{line}: {}", parsed(line).unwrap_err());
        }
        assert!(parsed("machine ls --nosuch").is_err());
        assert!(parsed("machine frobnicate").is_err());
        assert!(parsed("machine create a b").is_err());
    }
}
