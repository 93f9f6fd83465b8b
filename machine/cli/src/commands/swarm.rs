//! Where a classic Swarm's master listens, for `env --swarm` and `config --swarm`.

use machine_lifecycle::{Connection, MachineName};

use crate::Context;
use crate::error::{CommandError, Exit};

/// The machine's host with the port of the swarm.
pub(crate) fn url(
    name: &MachineName,
    connection: &Connection,
    context: &Context,
) -> Result<String, CommandError> {
    let record =
        context.machines.store().record(name.as_str()).map_err(machine_lifecycle::Error::from)?;
    let master = record.swarm.filter(|swarm| swarm.is_master);
    match master.as_ref().and_then(|swarm| swarm.host.rsplit_once(':')) {
        Some((_, port)) => Ok(format!("tcp://{}:{port}", connection.host)),
        None => {
            let message = format!(
                "\"{name}\" is not a swarm master. The --swarm flag is intended for use with swarm \
                 masters"
            );
            Err(CommandError::new(Exit::WrongState, message).hint("leave --swarm away"))
        }
    }
}
