//! `machine completion`: a script that teaches a shell this command's words.

use std::path::{Path, PathBuf};

use super::{DONE, Outcome};
use crate::error::CommandError;
use crate::{Context, completion};

/// Print completions for a shell
///
/// Names of machines are completed too, without asking the machines. To have it in every shell:
///
///   bash        echo 'source <(machine completion bash)' >> ~/.bashrc
///   zsh         echo 'source <(machine completion zsh)' >> ~/.zshrc
///   fish        machine completion fish > ~/.config/fish/completions/machine.fish
///   elvish      echo 'eval (machine completion elvish | slurp)' >> ~/.config/elvish/rc.elv
///   nushell     machine completion nushell | save --append $nu.config-path
///   powershell  add to $PROFILE: machine completion powershell | Out-String | Invoke-Expression
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Nushell,
    Elvish,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let shell = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Nushell => "nushell",
        Shell::Elvish => "elvish",
    };
    let script = completion::script(shell, &context.program(), &completer(context))
        .map_err(|error| CommandError::failed("no script could be made").because(&error))?;
    // Whoever reads no further has what they wanted.
    let _reader_gone = context.ui.raw_result(&script);
    DONE
}

/// The program by its name, if that was how it was found, so that the script outlives an update;
/// otherwise by its path.
fn completer(context: &Context) -> PathBuf {
    match context.arguments.first() {
        Some(typed) if !typed.contains('/') => PathBuf::from(typed),
        Some(typed) => std::path::absolute(typed).unwrap_or_else(|_| Path::new(typed).to_owned()),
        None => context.executable.clone(),
    }
}
