//! Which machines a command is about, and doing one thing to several at once.

use std::future::Future;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use machine_lifecycle::{Error, MachineName};

use super::Outcome;
use crate::Context;
use crate::error::{CommandError, Exit, no_such_machine};

/// Meant when no name is given.
const DEFAULT: &str = "default";

/// The one machine meant.
pub(crate) fn one(given: Option<&str>, context: &Context) -> Result<MachineName, CommandError> {
    match given {
        Some(name) => existing(name, context),
        None => existing(DEFAULT, context).map_err(|_| no_default(context)),
    }
}

/// All machines meant. If one does not exist, nothing is done to the others.
pub(crate) fn several(
    given: &[String],
    context: &Context,
) -> Result<Vec<MachineName>, CommandError> {
    if given.is_empty() {
        return Ok(vec![one(None, context)?]);
    }
    let mut names: Vec<MachineName> = Vec::new();
    let mut missing = Vec::new();
    for name in given {
        match existing(name, context) {
            Ok(name) if names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(error) => missing.push(error),
        }
    }
    report_all_but_last(missing, context)?;
    Ok(names)
}

/// A machine that exists, finished or not.
pub(crate) fn existing(name: &str, context: &Context) -> Result<MachineName, CommandError> {
    match name.parse::<MachineName>() {
        Ok(name) if context.machines.exists(&name) => Ok(name),
        Ok(name) => Err(Error::NotFound { name }.into()),
        // What cannot be a name is not the name of a machine.
        Err(_) => {
            let name = name.escape_debug().to_string();
            let message = format!("Docker machine \"{name}\" does not exist");
            Err(CommandError::new(Exit::NoSuchMachine, message)
                .originally(no_such_machine(&name))
                .hint(format!("`{} ls` lists the machines", context.program())))
        }
    }
}

/// Does the same to several machines at once; answers appear in the order of the names, each as
/// soon as those before it are there.
pub(crate) async fn each<F>(
    names: &[MachineName],
    context: &Context,
    action: impl Fn(MachineName) -> F,
) -> Outcome
where
    F: Future<Output = Result<Option<String>, CommandError>>,
{
    let mut outcomes: FuturesOrdered<F> = names.iter().cloned().map(action).collect();
    let mut errors = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(Some(line)) => context.ui.result(&line),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    report_all_but_last(errors, context)?;
    super::DONE
}

fn report_all_but_last(
    mut errors: Vec<CommandError>,
    context: &Context,
) -> Result<(), CommandError> {
    let Some(last) = errors.pop() else { return Ok(()) };
    for error in errors {
        context.ui.failure(&error);
    }
    Err(last)
}

fn no_default(context: &Context) -> CommandError {
    let program = context.program();
    let text = "No machine name(s) specified and no \"default\" machine exists";
    CommandError::usage(text).originally(format!("Error: {text}")).hint(format!(
        "`{program} ls` lists the machines, `{program} create default` makes that one"
    ))
}
