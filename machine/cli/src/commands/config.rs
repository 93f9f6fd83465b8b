//! `machine config`: a machine's address and certificates as arguments for `docker`.

use super::{DONE, Outcome, names};
use crate::Context;

/// Print the connection config for machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let connection = context.machines.connect(&name).await?;
    // Without quotes: today's docker commands take them literally.
    context.ui.result(&format!(
        "--tlsverify\n--tlscacert={}\n--tlscert={}\n--tlskey={}\n-H={}",
        connection.ca_certificate.display(),
        connection.client_certificate.display(),
        connection.client_key.display(),
        connection.url
    ));
    DONE
}
