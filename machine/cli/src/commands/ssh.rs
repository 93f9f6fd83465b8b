//! `machine ssh`: a shell or a command in the guest.

use std::io::IsTerminal as _;

use super::{Outcome, names};
use crate::{Context, ssh};

/// Log in to a machine, or run a command in it
///
/// The exit status of the command is passed on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,

    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Args {
    /// The command without the `--` that may stand before it.
    pub(crate) fn words(&self) -> &[String] {
        match self.command.split_first() {
            Some((first, rest)) if first == "--" => rest,
            Some(_) | None => &self.command,
        }
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let target = context.machines.ssh(&name).await?;
    let words = args.words();
    // Joined with blanks, as ssh does: the shell in the guest splits them again.
    let what = match words {
        [] if std::io::stdin().is_terminal() => {
            ssh::What::Terminal { kind: context.variable("TERM").unwrap_or("xterm").to_owned() }
        }
        [] => ssh::What::Shell,
        words => ssh::What::Command(words.join(" ")),
    };
    ssh::run(&target, what, &context.ui).await
}

#[cfg(test)]
mod tests {
    use crate::arguments::parse;
    use crate::commands::Command;

    fn parsed(line: &str) -> (Option<String>, String) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match parse(&words).unwrap().command {
            Some(Command::Ssh(args)) => (args.name.clone(), args.words().join(" ")),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn everything_after_the_name_is_the_command() {
        let dev = Some("dev".to_owned());
        assert_eq!(parsed("machine ssh dev"), (dev.clone(), String::new()));
        assert_eq!(parsed("machine ssh dev ls -la"), (dev.clone(), "ls -la".into()));
        assert_eq!(parsed("machine ssh dev -- ls -la"), (dev.clone(), "ls -la".into()));
        assert_eq!(parsed("machine ssh dev ps -s -force"), (dev.clone(), "ps -s -force".into()));
        assert_eq!(parsed("machine ssh dev sh -c --help"), (dev.clone(), "sh -c --help".into()));
        assert_eq!(parsed("machine ssh dev -- a -- b"), (dev, "a -- b".into()));
    }
}
