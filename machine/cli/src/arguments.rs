//! From the command line to a command.

use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser};

use crate::commands::{Command, GROUPS};
use crate::error::{CommandError, Manner};

/// docker-machine's name: called so, the program behaves like it.
const ORIGINAL: &str = "docker-machine";

/// Docker machines on this computer.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Where machines are stored [env: MACHINE_STORAGE_PATH] [default: ~/.machine]
    #[arg(short, long, value_name = "DIR", global = true, help_heading = GLOBAL)]
    pub(crate) storage_path: Option<PathBuf>,

    /// Tell on stderr what happens, with times [env: MACHINE_DEBUG]
    #[arg(short = 'D', long, global = true, help_heading = GLOBAL)]
    pub(crate) debug: bool,

    /// Print the version
    #[arg(short, long, action = ArgAction::SetTrue, help_heading = GLOBAL)]
    pub(crate) version: bool,

    /// Use this program's own SSH client instead of the one installed [env: MACHINE_NATIVE_SSH]
    #[arg(long, global = true, hide_short_help = true, help_heading = GLOBAL)]
    pub(crate) native_ssh: bool,

    /// The CA that signs servers' and clients' certificates [env: MACHINE_TLS_CA_CERT]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true, help_heading = GLOBAL)]
    pub(crate) tls_ca_cert: Option<PathBuf>,

    /// The key of that CA [env: MACHINE_TLS_CA_KEY]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true, help_heading = GLOBAL)]
    pub(crate) tls_ca_key: Option<PathBuf>,

    /// The client's certificate [env: MACHINE_TLS_CLIENT_CERT]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true, help_heading = GLOBAL)]
    pub(crate) tls_client_cert: Option<PathBuf>,

    /// The key of that certificate [env: MACHINE_TLS_CLIENT_KEY]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true, help_heading = GLOBAL)]
    pub(crate) tls_client_key: Option<PathBuf>,

    /// Taken for the sake of scripts, without effect: nothing is asked of GitHub
    #[arg(long, value_name = "TOKEN", global = true, hide_short_help = true, help_heading = GLOBAL)]
    github_api_token: Option<String>,

    /// Taken for the sake of scripts, without effect: no reports are sent
    #[arg(long, value_name = "TOKEN", global = true, hide_short_help = true, help_heading = GLOBAL)]
    bugsnag_api_token: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const GLOBAL: &str = "Options of all commands";

/// The name under which the program was called.
pub(crate) fn program(arguments: &[String]) -> String {
    let name = arguments.first().map(Path::new).and_then(Path::file_stem);
    name.map_or_else(|| "machine".into(), |name| name.to_string_lossy().into_owned())
}

pub(crate) fn manner(arguments: &[String]) -> Manner {
    if program(arguments) == ORIGINAL { Manner::DockerMachine } else { Manner::Machine }
}

/// `NAME version V, build COMMIT`
pub(crate) fn version(program: &str) -> String {
    format!("{program} version {}, build {}", env!("CARGO_PKG_VERSION"), env!("MACHINE_BUILD"))
}

pub(crate) fn parse(arguments: &[String]) -> Result<Cli, clap::Error> {
    let mut command = command(arguments);
    let arguments = with_two_dashes(&command, arguments);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// Of the program, or of one of its commands.
pub(crate) fn help(arguments: &[String], of: Option<&str>) -> String {
    let mut command = command(arguments);
    command.build();
    let help = match of.and_then(|name| command.find_subcommand_mut(name)) {
        Some(command) => command.render_help(),
        None => command.render_help(),
    };
    help.to_string().trim_end().to_owned()
}

/// A mistake that docker-machine had a text for, or that we can word better than clap.
pub(crate) fn mistake(error: &clap::Error, arguments: &[String]) -> Option<CommandError> {
    let program = program(arguments);
    let wrong = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let command = command(arguments);
            let word = wrong(ContextKind::InvalidSubcommand)?;
            if command_word(&command, arguments).map(|(_, word)| word) != Some(&word) {
                return None;
            }
            let message = format!("{word:?} is not a {program} command").replace('"', "'");
            let original = format!("{program}: {message}. See '{program} --help'.");
            let similar = match error.get(ContextKind::SuggestedSubcommand) {
                Some(ContextValue::Strings(similar)) => similar.last().cloned(),
                _ => None,
            };
            let hint = match similar {
                Some(similar) => format!("did you mean {program} {similar}? See {program} --help"),
                None => format!("see {program} --help"),
            };
            Some(CommandError::usage(message).originally(original).hint(hint))
        }
        ErrorKind::UnknownArgument if manner(arguments) == Manner::DockerMachine => {
            let word = wrong(ContextKind::InvalidArg)?;
            let command = command(arguments);
            let name = command_word(&command, arguments).map_or("", |(_, word)| word.as_str());
            let message = match word.split_once('-') {
                Some(("", flag)) => {
                    format!("flag provided but not defined: -{}", flag.trim_start_matches('-'))
                }
                _ if name == "active" => "Error: Too many arguments given".to_owned(),
                _ => format!("Invalid command line. Found extra arguments [{word}]"),
            };
            Some(CommandError::usage(message).hint(format!("see {program} {name} --help")))
        }
        _ => None,
    }
}

pub(crate) fn command(arguments: &[String]) -> clap::Command {
    let program = program(arguments);
    let command = Cli::command().name(program.clone()).bin_name(program.clone());
    let commands = grouped(&command);
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{commands}Options:\n{{options}}\n\n\
         A first machine: {program} create dev, then eval \"$({program} env dev)\"\n\
         More about a command, with examples: {program} COMMAND --help\n"
    ))
}

/// The commands by what they are for.
fn grouped(command: &clap::Command) -> String {
    let width = command.get_subcommands().map(|command| command.get_name().len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (title, names) in GROUPS {
        text.push_str(&format!("{title}:\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            // clap adds this one itself, and later.
            let about =
                about.map_or("Explain this program or a command".to_owned(), ToString::to_string);
            text.push_str(&format!("  {name:width$}  {about}\n"));
        }
        text.push('\n');
    }
    text
}

/// docker-machine also took `-driver` for `--driver`. What goes to other programs is not looked at.
fn with_two_dashes(command: &clap::Command, arguments: &[String]) -> Vec<String> {
    let (at, word) = match command_word(command, arguments) {
        Some((at, word)) => (at, word.as_str()),
        None => (arguments.len(), ""),
    };
    let mut flags = Flags { commands: vec![command], verbatim: false };
    let mut seen = Vec::with_capacity(arguments.len());
    let mut is_value = false;
    for (index, argument) in arguments.iter().enumerate() {
        if index == at {
            flags.commands.extend(command.find_subcommand(word));
        } else if index > 0 && !flags.verbatim && !is_value {
            flags.verbatim = argument == "--";
            if let Some(long) = flags.long(argument) {
                is_value = flags.takes_value(&long);
                seen.push(long);
                continue;
            }
            is_value = flags.takes_value(argument);
            if !argument.starts_with('-') {
                flags.enter(argument);
            }
        } else {
            is_value = false;
        }
        seen.push(argument.clone());
    }
    seen
}

/// The flags that are known at a place of the command line.
struct Flags<'a> {
    /// The program and the commands that were named, innermost last.
    commands: Vec<&'a clap::Command>,
    /// From here on nothing is ours.
    verbatim: bool,
}

impl<'a> Flags<'a> {
    /// `-driver` as `--driver`. A group of short flags, such as `-qt`, stays.
    fn long(&self, argument: &str) -> Option<String> {
        let name = argument.strip_prefix('-').filter(|rest| rest.chars().count() > 1)?;
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        let first = name.chars().next().filter(|first| first.is_ascii_alphabetic())?;
        let is_short = self.all().any(|flag| flag.get_short() == Some(first)) || first == 'h';
        (self.find(name).is_some() || ["help", "version"].contains(&name) || !is_short)
            .then(|| format!("-{argument}"))
    }

    /// Whether the next argument belongs to this one.
    fn takes_value(&self, argument: &str) -> bool {
        let flag = match argument.strip_prefix("--") {
            Some(name) => self.find(name),
            None => match argument.strip_prefix('-').map(|rest| rest.chars().collect::<Vec<_>>()) {
                Some(letters) if letters.len() == 1 => {
                    self.all().find(|flag| flag.get_short() == letters.first().copied())
                }
                _ => None,
            },
        };
        flag.is_some_and(|flag| flag.get_action().takes_values())
    }

    /// A word that is no flag: the name of a command's command, or the first of what is not ours.
    fn enter(&mut self, word: &str) {
        let Some(innermost) = self.commands.last().filter(|_| self.commands.len() > 1) else {
            return;
        };
        if let Some(inner) = innermost.find_subcommand(word) {
            self.commands.push(inner);
        } else {
            self.verbatim = innermost.get_positionals().any(clap::Arg::is_trailing_var_arg_set);
        }
    }

    fn find(&self, name: &str) -> Option<&'a clap::Arg> {
        self.all().find(|flag| {
            flag.get_long() == Some(name)
                || flag.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        })
    }

    fn all(&self) -> impl Iterator<Item = &'a clap::Arg> {
        self.commands.iter().flat_map(|command| command.get_arguments())
    }
}

/// The word that names the command, and its place.
fn command_word<'a>(
    command: &clap::Command,
    arguments: &'a [String],
) -> Option<(usize, &'a String)> {
    let flags = Flags { commands: vec![command], verbatim: false };
    let mut is_value = false;
    for (index, argument) in arguments.iter().enumerate().skip(1) {
        if is_value {
            is_value = false;
        } else if argument.starts_with('-') {
            let long = flags.long(argument);
            is_value = flags.takes_value(long.as_ref().unwrap_or(argument));
        } else {
            return Some((index, argument));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(&words(line))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group_of_the_help() {
        let mut grouped: Vec<&str> =
            GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        grouped.sort_unstable();
        let mut command = Cli::command();
        command.build();
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        let mut shown: Vec<&str> = shown.map(clap::Command::get_name).collect();
        shown.sort_unstable();
        assert_eq!(grouped, shown);
    }

    #[test]
    fn flags_work_with_one_dash_and_after_names() {
        for line in [
            "machine create -driver qemu -memory=512 dev",
            "machine create dev --qemu-memory 512 --qemu-cpu-count 1 --qemu-disk-size 5000",
            "docker-machine -storage-path /x ls -q",
            "docker-machine -debug ls -timeout 3",
            "machine ls -s /x",
            "machine rm ssh -force",
            "machine create dev -engine-label a=b -engine-opt x",
        ] {
            assert!(parsed(line).is_ok(), "{line}: {}", parsed(line).unwrap_err());
        }
        assert!(parsed("machine ls --nosuch").is_err());
        assert!(parsed("machine frobnicate").is_err());
    }

    #[test]
    fn what_goes_to_other_programs_keeps_its_dashes() {
        let seen = |line: &str| {
            let arguments = words(line);
            with_two_dashes(&command(&arguments), &arguments).join(" ")
        };
        assert_eq!(seen("machine ssh dev -force -debug"), "machine ssh dev -force -debug");
        assert_eq!(seen("machine -debug ssh dev -debug"), "machine --debug ssh dev -debug");
        assert_eq!(seen("machine ssh -help"), "machine ssh --help");
        assert_eq!(seen("machine rm -- -force"), "machine rm -- -force");
        assert_eq!(seen("machine -storage-path -x ls -qt 3"), "machine --storage-path -x ls -qt 3");
        assert_eq!(seen("machine ls -nosuch"), "machine ls --nosuch");
    }

    #[test]
    fn the_program_is_called_what_its_file_is_called() {
        assert_eq!(program(&words("/opt/x/docker-machine ls")), "docker-machine");
        assert_eq!(manner(&words("/opt/x/docker-machine ls")), Manner::DockerMachine);
        assert_eq!(manner(&words("./machine ls")), Manner::Machine);
    }
}
