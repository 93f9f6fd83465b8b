//! Tells other programs where the machines are: Docker contexts and the SSH configuration.

use std::path::PathBuf;

use machine_clients::{Endpoint, Error, Places, ssh_config};
use machine_lifecycle::{Connection, MachineName};
use machine_store::{NO_DRIVER, Presence};

use crate::Context;
use crate::error::CommandError;
use crate::ssh::external;

/// Makes contexts and configuration those of the machines there are now. What could not be done is
/// told; it never makes a command fail that has done its own work.
pub(crate) fn sync(context: &Context) {
    let store = context.machines.store();
    // Held while the machines are looked for too: another command may just have made one.
    let outcome = store.lock_clients().map(|_lock| {
        let machines = endpoints(context);
        match places(context) {
            Some(places) => machine_clients::sync(&machines, &places),
            None => {
                let storage = store.layout().root().to_owned();
                ssh_config::sync(&machines, &Places { docker_config: PathBuf::new(), storage })
            }
        }
    });
    match outcome {
        Ok(errors) => errors.iter().for_each(|error| warn(context, error)),
        Err(error) => warn(context, &Error::from(error)),
    }
}

/// How to reach a running machine. Certificates are renewed when it is time, here and where they
/// were copied to.
pub(crate) async fn connect(
    name: &MachineName,
    context: &Context,
) -> Result<Connection, CommandError> {
    let connection = context.machines.connect(name).await?;
    sync(context);
    Ok(connection)
}

/// Where docker and ssh look; `None` for somebody without a home.
pub(crate) fn places(context: &Context) -> Option<Places> {
    let docker_config = context
        .variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| context.variable("HOME").map(|home| PathBuf::from(home).join(".docker")))?;
    let storage = context.machines.store().layout().root().to_owned();
    Some(Places { docker_config, storage })
}

/// All machines that are complete.
fn endpoints(context: &Context) -> Vec<Endpoint> {
    let store = context.machines.store();
    let mut all = external::endpoints(store).unwrap_or_default();
    all.retain(|machine| store.presence(&machine.name) == Presence::Complete);
    for name in context.machines.names().unwrap_or_default() {
        let elsewhere = store.record(name.as_str()).is_ok_and(|record| record.driver == NO_DRIVER);
        if let (true, Ok(connection)) = (elsewhere, context.machines.address(&name)) {
            all.push(Endpoint {
                name: name.to_string(),
                url: connection.url,
                ca_certificate: connection.ca_certificate,
                client_certificate: connection.client_certificate,
                client_key: connection.client_key,
                ssh: None,
            });
        }
    }
    all
}

fn warn(context: &Context, error: &Error) {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    let advice = match error {
        Error::Foreign { name } => format!("; it was left alone (docker context rm {name})"),
        _ => String::new(),
    };
    context.ui.note(&format!("warning: {text}{advice}"));
}
