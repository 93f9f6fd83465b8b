//! OpenSSH's programs and those that use them, told where the machines are.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use machine_clients::{Endpoint, Places, SshEndpoint, ssh_config};
use machine_lifecycle::MachineName;
use machine_store::{NO_DRIVER, Presence, Store};

use crate::Context;
use crate::commands::Outcome;
use crate::error::CommandError;
use crate::local_command::{self, Signals};

/// The name by which ssh knows a machine.
pub(crate) fn host(name: &MachineName) -> String {
    ssh_config::host(name.as_str())
}

/// A program in the user's search path; `missing` is what docker-machine said without one.
pub(crate) fn find(
    program: &str,
    missing: &str,
    context: &Context,
) -> Result<PathBuf, CommandError> {
    let path = context.variable("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    std::env::split_paths(path)
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| {
            CommandError::failed(missing).hint(format!("install {program}, or add it to PATH"))
        })
}

/// A command with the program's configuration of the machines.
pub(crate) fn command(program: &Path, context: &Context) -> Result<Command, CommandError> {
    let mut command = Command::new(program);
    command.arg("-F").arg(configuration(context)?);
    Ok(command)
}

/// Runs it to its end; the answer is its status.
pub(crate) async fn run(command: Command, context: &Context) -> Outcome {
    let mut signals = Signals::catch()?;
    local_command::run(command, &mut signals).await.or_else(|not_run| {
        context.ui.failure(&not_run.error);
        Ok(not_run.status)
    })
}

/// The file that tells OpenSSH where the machines are, as they are now.
pub(crate) fn configuration(context: &Context) -> Result<PathBuf, CommandError> {
    let store = context.machines.store();
    let storage = store.layout().root().to_owned();
    let file = ssh_config::file(&storage);
    let _lock = store.lock_clients().map_err(machine_lifecycle::Error::from)?;
    // Docker's configuration is not looked at for this.
    let places = Places { docker_config: PathBuf::new(), storage };
    for error in ssh_config::sync(&endpoints(store)?, &places) {
        let warning = CommandError::failed(error.to_string());
        context.ui.note(&format!("warning: {}", warning.message));
    }
    Ok(file)
}

/// All complete machines with an SSH server of ours. One that cannot be read is not reached either.
pub(crate) fn endpoints(store: &Store) -> Result<Vec<Endpoint>, CommandError> {
    let names = store.names().map_err(machine_lifecycle::Error::from)?;
    let complete = names.iter().filter(|name| store.presence(name) == Presence::Complete);
    Ok(complete.filter_map(|name| endpoint(name, store)).collect())
}

fn endpoint(name: &str, store: &Store) -> Option<Endpoint> {
    let record = store.record(name).ok()?;
    if record.driver == NO_DRIVER {
        return None;
    }
    let paths = store.paths(name);
    Some(Endpoint {
        name: name.to_owned(),
        url: format!("tcp://{}:{}", machine_lifecycle::ADDRESS, record.ports.api),
        ca_certificate: paths.authority_certificate(),
        client_certificate: paths.client_certificate(),
        client_key: paths.client_key(),
        ssh: Some(SshEndpoint {
            port: record.ports.ssh,
            login_key: paths.ssh_key(),
            known_hosts: paths.known_hosts(),
        }),
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
