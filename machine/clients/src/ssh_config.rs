//! What ssh must know to reach machines: a configuration that the user's can include, and for each
//! machine a file with its server's key.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use machine_store::Store;
use machine_store::atomic::{self, Access};
use ssh_key::PrivateKey;

use crate::{Endpoint, Error, Places, SshEndpoint};

/// As whom one logs in.
pub const USER: &str = "root";

const ADDRESS: &str = "127.0.0.1";
const FILE: &str = "ssh_config";
const HEAD: &str = "# Written by machine, and written anew with every change: changes are lost.\n";
const FILE_LIMIT: u64 = 16 * 1024 * 1024;
const KEY_LIMIT: u64 = 64 * 1024;

/// The name by which ssh knows a machine.
pub fn host(machine: &str) -> String {
    format!("{machine}.machine")
}

/// The file that the user's configuration includes.
pub fn file(storage: &Path) -> PathBuf {
    storage.join(FILE)
}

/// The configuration of these machines; those without an SSH server are left out.
pub fn text(machines: &[Endpoint]) -> Result<String, Error> {
    let entries = machines
        .iter()
        .filter_map(|machine| Some(entry(&machine.name, machine.ssh.as_ref()?)))
        .collect::<Result<Vec<String>, Error>>()?;
    Ok(entries.join("\n"))
}

/// The line of `known_hosts` for a server with this private key.
pub fn known_hosts_line(machine: &str, host_key: &str) -> Result<String, ssh_key::Error> {
    let mut key = PrivateKey::from_openssh(host_key)?.public_key().clone();
    key.set_comment("");
    Ok(format!("{} {}\n", alias(machine), key.to_openssh()?.trim_end()))
}

/// Writes the configuration of all machines and their servers' keys, where they are not so yet.
/// What could not be done is answered, the rest is done. The caller holds the lock of the clients.
pub fn sync(machines: &[Endpoint], places: &Places) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut entries = Vec::new();
    for machine in machines {
        let Some(ssh) = &machine.ssh else { continue };
        let written =
            write_known_hosts(&machine.name, ssh, places).and_then(|()| entry(&machine.name, ssh));
        match written {
            Ok(entry) => entries.push(entry),
            Err(error) => errors.push(error),
        }
    }
    let path = file(&places.storage);
    if entries.is_empty() && !path.exists() {
        return errors;
    }
    errors.extend(replace(&path, &format!("{HEAD}\n{}", entries.join("\n"))).err());
    errors
}

fn entry(machine: &str, ssh: &SshEndpoint) -> Result<String, Error> {
    let mut text = format!("Host {}\n", host(machine));
    let mut line = |key: &str, value: &str| {
        // Writing to a string does not fail.
        let _never = writeln!(text, "  {key} {value}");
    };
    line("HostName", ADDRESS);
    line("Port", &ssh.port.to_string());
    line("User", USER);
    line("IdentityFile", &quoted(&ssh.login_key)?);
    line("IdentitiesOnly", "yes");
    line("PreferredAuthentications", "publickey");
    line("HostKeyAlias", &alias(machine));
    line("UserKnownHostsFile", &quoted(&ssh.known_hosts)?);
    line("StrictHostKeyChecking", "yes");
    // A way out of the user's network does not lead to their own computer.
    line("ProxyCommand", "none");
    Ok(text)
}

/// ssh compares host names in small letters.
fn alias(machine: &str) -> String {
    host(machine).to_lowercase()
}

fn write_known_hosts(machine: &str, ssh: &SshEndpoint, places: &Places) -> Result<(), Error> {
    let path = Store::open(&places.storage)?.paths(machine).ssh_host_key();
    let key = atomic::read(&path, KEY_LIMIT)?;
    let line = known_hosts_line(machine, &key)
        .map_err(|source| Error::HostKey { path: path.clone(), source })?;
    replace(&ssh.known_hosts, &line)
}

/// A file that is right already is not touched.
fn replace(path: &Path, content: &str) -> Result<(), Error> {
    if atomic::read(path, FILE_LIMIT).is_ok_and(|present| present == content) {
        return Ok(());
    }
    Ok(atomic::write(path, content.as_bytes(), Access::Owner)?)
}

/// In quotes, for blanks, and without what ssh would replace.
fn quoted(path: &Path) -> Result<String, Error> {
    let unnameable = || Error::Unnameable { path: path.to_owned() };
    let text = path.to_str().ok_or_else(unnameable)?;
    if text.contains(['\n', '\r']) || text.contains("${") {
        return Err(unnameable());
    }
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
mod tests;
