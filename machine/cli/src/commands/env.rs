//! `machine env`: lines for a shell to evaluate, after which `docker` talks to a machine.

use machine_lifecycle::ADDRESS;

use super::shells::Shell;
use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// Print how to set up the environment for docker
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Vec<String>,

    /// For which shell: bash, zsh, sh, fish, powershell, cmd, tcsh or emacs [default: $SHELL]
    #[arg(long)]
    shell: Option<String>,

    /// Unset the variables instead
    #[arg(short, long)]
    unset: bool,

    /// Reach the machine without the proxy
    #[arg(long)]
    no_proxy: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let shell = shell(args, context)?;
    let lines =
        if args.unset { unset(args, shell, context)? } else { set(args, shell, context).await? };
    let hint = shell.hint(&command_line(&context.arguments));
    context.ui.result(&format!("{}\n{hint}", lines.join("\n")));
    DONE
}

async fn set(args: &Args, shell: Shell, context: &Context) -> Result<Vec<String>, CommandError> {
    let name = match args.name.as_slice() {
        [] => names::one(None, context)?,
        [name] => names::one(Some(name), context)?,
        [_, ..] => return Err(CommandError::usage("Expected one machine name as an argument")),
    };
    let connection = context.machines.connect(&name).await?;
    let directory = connection.directory.to_string_lossy();
    let mut lines = vec![
        shell.set("DOCKER_TLS_VERIFY", "1"),
        shell.set("DOCKER_HOST", &connection.url),
        shell.set("DOCKER_CERT_PATH", &directory),
        shell.set("DOCKER_MACHINE_NAME", name.as_str()),
    ];
    if cfg!(windows) {
        lines.push(shell.set("COMPOSE_CONVERT_WINDOWS_PATHS", "true"));
    }
    if args.no_proxy {
        let (variable, value) = no_proxy(context);
        lines.push(shell.set(variable, &with_address(value)));
    }
    Ok(lines)
}

fn unset(args: &Args, shell: Shell, context: &Context) -> Result<Vec<String>, CommandError> {
    if !args.name.is_empty() {
        return Err(CommandError::usage("Expected no machine name when the -u flag is present"));
    }
    let mut names =
        vec!["DOCKER_TLS_VERIFY", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_MACHINE_NAME"];
    if cfg!(windows) {
        names.push("COMPOSE_CONVERT_WINDOWS_PATHS");
    }
    if args.no_proxy {
        names.push(no_proxy(context).0);
    }
    Ok(names.into_iter().map(|name| shell.unset(name)).collect())
}

/// The shell asked for, or the user's own; without one, what every shell script understands.
fn shell(args: &Args, context: &Context) -> Result<Shell, CommandError> {
    let name = match (&args.shell, context.variable("SHELL")) {
        (Some(name), _) => name.as_str(),
        (None, Some(path)) => path.rsplit(['/', '\\']).next().unwrap_or(path),
        (None, None) => "sh",
    };
    Shell::named(name).ok_or_else(|| {
        CommandError::usage(format!("Unknown shell \"{}\"", name.escape_debug()))
            .hint("give one of these: --shell bash, zsh, sh, fish, powershell, cmd, tcsh, emacs")
    })
}

/// The variable that is in use, and what it says.
fn no_proxy(context: &Context) -> (&'static str, &str) {
    match context.variable("no_proxy") {
        Some(value) => ("no_proxy", value),
        None => ("NO_PROXY", context.variable("NO_PROXY").unwrap_or_default()),
    }
}

fn with_address(value: &str) -> String {
    if value.is_empty() {
        ADDRESS.to_owned()
    } else if value.split(',').any(|entry| entry.trim() == ADDRESS) {
        value.to_owned()
    } else {
        format!("{value},{ADDRESS}")
    }
}

/// As it was typed, so that it can be typed again.
fn command_line(arguments: &[String]) -> String {
    let mut words = arguments.to_vec();
    if let Some(program) = words.first_mut()
        && program.contains([' ', '\\'])
    {
        *program = format!("\"{program}\"");
    }
    words.join(" ")
}
