//! `machine env`: lines for a shell to evaluate, after which `docker` talks to a machine.

use super::shells::{self, Shell};
use super::{DONE, Outcome, names, swarm};
use crate::error::CommandError;
use crate::{Context, clients};

/// Print the variables with which docker talks to a machine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(machine env dev)\"                                bash, zsh, sh
  machine env dev | source                                fish
  & machine env dev | Invoke-Expression                   powershell
  machine env --shell nu dev | from json | load-env       nushell
  machine env --shell github dev >> \"$GITHUB_ENV\"         GitHub Actions
  eval \"$(machine env -u)\"                                 back to where docker was")]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Vec<String>,

    /// For which shell: bash, zsh, sh, fish, powershell, cmd, tcsh, emacs, nu, elvish, xonsh; or
    /// json, dotenv, github [default: that of $SHELL]
    #[arg(long)]
    shell: Option<String>,

    /// Unset the variables instead
    #[arg(short, long)]
    unset: bool,

    /// Reach the machine without the proxy
    #[arg(long)]
    no_proxy: bool,

    /// Of a classic Swarm's master: the swarm instead of the machine
    #[arg(long)]
    swarm: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let shell = shell(args, context)?;
    let text = if args.unset {
        shell.unset_all(&unset(args, context)?)
    } else {
        shell.set_all(&set(args, context).await?)
    };
    let command = command_line(&context.arguments);
    match shell.hint(&command) {
        Some(hint) => context.ui.result(&format!("{text}\n{hint}")),
        None => context.ui.result(&text),
    }
    if let Some(usage) = shell.usage(&command, args.unset).filter(|_| context.ui.is_watched()) {
        context.ui.note(&format!("use it like this: {usage}"));
    }
    DONE
}

async fn set(args: &Args, context: &Context) -> Result<Vec<(&'static str, String)>, CommandError> {
    let name = match args.name.as_slice() {
        [] => names::one(None, context)?,
        [name] => names::one(Some(name), context)?,
        [_, ..] => {
            return Err(CommandError::usage("Expected one machine name as an argument")
                .originally("Error: Expected one machine name as an argument")
                .hint("docker talks to one machine at a time"));
        }
    };
    let connection = clients::connect(&name, context)
        .await
        .map_err(|error| error.originally_after("Error checking TLS connection: "))?;
    let url = if args.swarm { swarm::url(&name, &connection, context)? } else { connection.url };
    let mut variables = vec![
        ("DOCKER_TLS_VERIFY", "1".to_owned()),
        ("DOCKER_HOST", url),
        ("DOCKER_CERT_PATH", connection.directory.to_string_lossy().into_owned()),
        ("DOCKER_MACHINE_NAME", name.to_string()),
    ];
    if cfg!(windows) {
        variables.push(("COMPOSE_CONVERT_WINDOWS_PATHS", "true".to_owned()));
    }
    if args.no_proxy {
        let (variable, value) = no_proxy(context);
        variables.push((variable, with_address(value, &connection.host)));
    }
    Ok(variables)
}

fn unset(args: &Args, context: &Context) -> Result<Vec<&'static str>, CommandError> {
    if !args.name.is_empty() {
        let text = "Expected no machine name when the -u flag is present";
        return Err(CommandError::usage(text)
            .originally(format!("Error: {text}"))
            .hint("leave the name away: the variables are the same for all"));
    }
    let mut names =
        vec!["DOCKER_TLS_VERIFY", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_MACHINE_NAME"];
    if cfg!(windows) {
        names.push("COMPOSE_CONVERT_WINDOWS_PATHS");
    }
    if args.no_proxy {
        names.push(no_proxy(context).0);
    }
    Ok(names)
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
            .originally("Error: Unknown shell")
            .hint(format!("give one of these to --shell: {}", shells::NAMES))
    })
}

/// The variable that is in use, and what it says.
fn no_proxy(context: &Context) -> (&'static str, &str) {
    match context.variable("no_proxy") {
        Some(value) => ("no_proxy", value),
        None => ("NO_PROXY", context.variable("NO_PROXY").unwrap_or_default()),
    }
}

fn with_address(value: &str, host: &str) -> String {
    if value.is_empty() {
        host.to_owned()
    } else if value.split(',').any(|entry| entry.trim() == host) {
        value.to_owned()
    } else {
        format!("{value},{host}")
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
