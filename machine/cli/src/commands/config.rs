//! `machine config`: a machine's address and certificates as arguments for `docker`.

use super::{DONE, Outcome, names, swarm};
use crate::{Context, clients};

/// Print a machine's address and certificates as arguments for docker
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  docker $(machine config dev) ps

Where the path to the machines has blanks in it, use `machine env` or `machine exec` instead.")]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,

    /// Of a classic Swarm's master: the swarm instead of the machine
    #[arg(long)]
    swarm: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let connection = clients::connect(&name, context)
        .await
        .map_err(|error| error.originally_after("Error running connection boilerplate: "))?;
    let url = match args.swarm {
        true => swarm::url(&name, &connection, context)?,
        false => connection.url,
    };
    // Without quotes: today's docker commands take them literally.
    context.ui.result(&format!(
        "--tlsverify\n--tlscacert={}\n--tlscert={}\n--tlskey={}\n-H={url}",
        connection.ca_certificate.display(),
        connection.client_certificate.display(),
        connection.client_key.display(),
    ));
    DONE
}
