//! `machine regenerate-certs`: new certificates, also for machines that run.

use machine_lifecycle::{MachineName, Regenerate};

use super::{Outcome, names};
use crate::error::CommandError;
use crate::{Context, clients};

/// Make the certificates of machines anew; a running machine takes them at once
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machines
    names: Vec<String>,

    /// Do not ask
    #[arg(short, long)]
    force: bool,

    /// The client certificates and keys too, not only those of the servers
    #[arg(long)]
    client_certs: bool,

    /// The CA too: whatever was issued before, to whomever, is worth nothing any more; machines
    /// that are not named follow at their next start or env
    #[arg(long)]
    ca: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let names = names::several(&args.names, context)?;
    if !args.force && !is_sure(context) {
        return Err(CommandError::failed("nothing was regenerated")
            .hint("answer y, or give --force not to be asked"));
    }
    context.ui.announce("Regenerating TLS certificates");
    let outcome = if args.ca {
        // There is one CA for all of them.
        let Some((first, others)) = names.split_first() else { return super::DONE };
        let what = Regenerate { client: true, authority: true };
        context.machines.regenerate_certificates(first, what).await?;
        context.ui.result(&done(first));
        let what = Regenerate { client: true, authority: false };
        names::each(others, context, |name| regenerate(name, what, context)).await
    } else {
        let what = Regenerate { client: args.client_certs, authority: false };
        names::each(&names, context, |name| regenerate(name, what, context)).await
    };
    clients::sync(context);
    outcome
}

async fn regenerate(
    name: MachineName,
    what: Regenerate,
    context: &Context,
) -> Result<Option<String>, CommandError> {
    context.machines.regenerate_certificates(&name, what).await?;
    Ok(Some(done(&name)))
}

fn done(name: &MachineName) -> String {
    format!("Machine \"{name}\" has new certificates.")
}

fn is_sure(context: &Context) -> bool {
    let question = "Regenerate TLS machine certs?  Warning: this is irreversible. (y/n): ";
    let answer = context.ui.ask(question);
    answer.is_some_and(|answer| answer.trim_start().starts_with(['y', 'Y']))
}
