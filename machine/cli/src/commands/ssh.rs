//! `machine ssh`: a shell or a command in the guest.

use std::io::IsTerminal as _;

use super::{Outcome, names};
use crate::error::CommandError;
use crate::ssh::external;
use crate::{Context, ssh};

const MISSING: &str = "You must have a copy of the ssh binary locally to use options of ssh";

/// Log in to a machine, or run a command in it
///
/// Everything after the name is the command, whose exit status is passed on. Options of ssh may
/// stand before the command, such as -L 8080:localhost:80; then OpenSSH's program is used.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine, then options of ssh, then the command
    // One argument, because what follows the name is not ours to understand.
    #[arg(
        id = "name",
        value_name = "NAME [OPTION]... [COMMAND]",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// What to do with the words after the name.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    Shell,
    Command(&'a [String]),
    /// They are OpenSSH's to understand.
    Options(&'a [String]),
}

impl Args {
    fn name(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    fn wanted(&self) -> Wanted<'_> {
        match self.words.get(1..).unwrap_or_default() {
            [] => Wanted::Shell,
            [dashes, command @ ..] if dashes == "--" => match command {
                [] => Wanted::Shell,
                command => Wanted::Command(command),
            },
            words @ [first, ..] if first.starts_with('-') => Wanted::Options(words),
            command => Wanted::Command(command),
        }
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    if let Some(option) = args.name().filter(|name| name.starts_with('-')) {
        let unknown = format!("{} is no option of this command", option.escape_debug());
        return Err(CommandError::usage(unknown)
            .hint("options of ssh stand after the machine's name: machine ssh NAME -L ..."));
    }
    let name = names::one(args.name(), context)?;
    let target = context.machines.ssh(&name).await.map_err(CommandError::of_ssh)?;
    // Joined with blanks, as ssh does: the shell in the guest splits them again.
    let what = match args.wanted() {
        Wanted::Options(words) => {
            if context.native_ssh {
                let option = words.first().map(String::as_str).unwrap_or_default();
                let what = format!("{} is an option of the ssh program", option.escape_debug());
                return Err(CommandError::usage(what)
                    .hint("leave out --native-ssh, or put -- before the command"));
            }
            let mut command =
                external::command(&external::find("ssh", MISSING, context)?, context)?;
            command.arg(external::host(&name)).args(words);
            return external::run(command, context).await;
        }
        Wanted::Shell if std::io::stdin().is_terminal() => {
            ssh::What::Terminal { kind: context.variable("TERM").unwrap_or("xterm").to_owned() }
        }
        Wanted::Shell => ssh::What::Shell,
        Wanted::Command(words) => ssh::What::Command(words.join(" ")),
    };
    ssh::run(&target, what, &context.ui).await
}

#[cfg(test)]
mod tests {
    use super::Wanted;
    use crate::arguments::parse;
    use crate::commands::Command;

    fn parsed(line: &str) -> (Option<String>, String) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match parse(&words).unwrap().command {
            Some(Command::Ssh(args)) => {
                let wanted = match args.wanted() {
                    Wanted::Shell => "a shell".to_owned(),
                    Wanted::Command(words) => format!("command: {}", words.join(" ")),
                    Wanted::Options(words) => format!("ssh: {}", words.join(" ")),
                };
                (args.name().map(str::to_owned), wanted)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn everything_after_the_name_is_the_command_or_openssh_s() {
        for (line, wanted) in [
            ("machine ssh dev", "a shell"),
            ("machine ssh dev --", "a shell"),
            ("machine ssh dev ls -la", "command: ls -la"),
            ("machine ssh dev -- ls -la", "command: ls -la"),
            ("machine ssh dev -- -x", "command: -x"),
            ("machine ssh dev ps -s -force", "command: ps -s -force"),
            ("machine ssh dev sh -c --help", "command: sh -c --help"),
            ("machine ssh dev -- a -- b", "command: a -- b"),
            ("machine ssh dev -L 1:localhost:2 -N", "ssh: -L 1:localhost:2 -N"),
            ("machine ssh dev -D 1080", "ssh: -D 1080"),
            ("machine ssh dev -v -s -h", "ssh: -v -s -h"),
            ("machine ssh dev -C echo foo", "ssh: -C echo foo"),
        ] {
            assert_eq!(parsed(line), (Some("dev".to_owned()), wanted.to_owned()), "{line}");
        }
        assert_eq!(parsed("machine ssh"), (None, "a shell".to_owned()));
    }
}
