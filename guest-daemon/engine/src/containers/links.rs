//! `--link`: another container of the bridge by a name of its own, and what it says of itself as
//! environment variables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::registry::{Handle, Registry, Snapshot};
use super::task::{Command, LinkChange};
use super::{Containers, ask};
use crate::config::HostConfig;
use crate::error::{Error, Kind, Result};

const WITH_HOST: &str = "conflicting options: host type networking can't be used with links. This \
                         would result in undefined behavior";
/// How long a container that starts with the engine waits for those it is linked to.
const PATIENCE: Duration = Duration::from_secs(5);
const WITH_CONTAINER: &str = "conflicting options: container type network can't be used with \
                              links. This would result in undefined behavior";

/// Another container, and what it is called here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    name: String,
    alias: String,
}

/// `name`, `name:alias`, or, as inspect shows it, `/name:/here/alias`.
fn parse(text: &str) -> Result<Link> {
    let parts: Vec<&str> = text.split(':').collect();
    let (name, alias) = match parts.as_slice() {
        [""] => return Err(Error::invalid("empty string specified for links")),
        [name] => (*name, *name),
        [name, alias] => (*name, *alias),
        _ => return Err(Error::invalid(format!("bad format for links: {text}"))),
    };
    let alias =
        if alias.starts_with('/') { alias.rsplit('/').next().unwrap_or(alias) } else { alias };
    Ok(Link { name: name.trim_start_matches('/').to_owned(), alias: alias.to_owned() })
}

fn all(host: &HostConfig) -> impl Iterator<Item = Result<Link>> {
    host.links.iter().flatten().map(|text| parse(text))
}

pub(super) fn check(host: &HostConfig) -> Result<()> {
    let some = host.links.as_ref().is_some_and(|links| !links.is_empty());
    if some && host.network_mode == "host" {
        return Err(Error::invalid(WITH_HOST));
    }
    if some && host.network_mode.starts_with("container:") {
        return Err(Error::invalid(WITH_CONTAINER));
    }
    all(host).try_for_each(|link| link.map(drop))
}

/// Finds the others and writes the links as inspect shows them. `name` is the container's own.
pub(super) fn resolve(registry: &Registry, name: &str, host: &mut HostConfig) -> Result<()> {
    let mut links = Vec::new();
    for link in all(host) {
        let Link { name: other, alias } = link?;
        let missing =
            |error: Error| Error::invalid(format!("could not get container for {other}: {error}"));
        let mut found = registry.find(&other).map_err(missing)?.look();
        while let Some(owner) = found.container.host.network_mode.strip_prefix("container:") {
            found = registry.find(owner).map_err(missing)?.look();
        }
        if found.container.host.network_mode == "host" {
            return Err(Error::invalid(WITH_HOST));
        }
        links.push(format!("/{}:/{name}/{alias}", found.container.name));
    }
    host.links = (!links.is_empty()).then_some(links);
    Ok(())
}

/// The names that others give containers, `web/db`, by the containers' own.
pub(super) fn names(snapshots: &[Arc<Snapshot>]) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for container in snapshots.iter().map(|snapshot| &snapshot.container) {
        for link in all(&container.host).flatten() {
            let name = format!("{}/{}", container.name, link.alias);
            names.entry(link.name).or_default().push(name);
        }
    }
    names
}

/// The name of the container that this one knows by the alias.
pub(super) fn target(host: &HostConfig, alias: &str) -> Option<String> {
    all(host).flatten().find(|link| link.alias == alias).map(|link| link.name)
}

impl Containers {
    /// `reference` is the container's name and that of the link, `web/db`.
    pub async fn remove_link(&self, reference: &str) -> Result<()> {
        let path = reference.trim_start_matches('/');
        let Some((name, alias)) = path.split_once('/') else {
            self.core.registry.find(reference)?;
            let text = "Conflict, cannot remove the default link name of the container";
            return Err(Error::new(Kind::Internal, text));
        };
        let missing = |_| Error::not_found(format!("No such container: {reference}"));
        let handle = self.core.registry.find(name).map_err(missing)?;
        let change = LinkChange::Remove { alias: alias.to_owned() };
        ask(&handle, |reply| Command::Link { change, reply }).await.map_err(missing)
    }

    /// A container was renamed: the links to it follow.
    pub(super) async fn relink(&self, from: &str, to: &str) {
        for handle in linked_to(&self.core.registry, from, |_| true) {
            let change = LinkChange::TargetRenamed { from: from.to_owned(), to: to.to_owned() };
            // One that is removed meanwhile needs no link.
            drop(ask(&handle, |reply| Command::Link { change, reply }).await);
        }
    }
}

/// A container that others are linked to has an address: those that run write it down.
pub(super) async fn tell_address(registry: &Registry, name: &str, address: &str) {
    for handle in linked_to(registry, name, Snapshot::is_running) {
        let change = LinkChange::TargetMoved { name: name.to_owned(), address: address.to_owned() };
        drop(ask(&handle, |reply| Command::Link { change, reply }).await);
    }
}

fn linked_to(registry: &Registry, name: &str, which: impl Fn(&Snapshot) -> bool) -> Vec<Handle> {
    let mut handles = registry.all();
    handles.retain(|handle| {
        let snapshot = handle.look();
        which(&snapshot) && all(&snapshot.container.host).flatten().any(|link| link.name == name)
    });
    handles
}

/// Those that a container is linked to come first when all of them start with the engine.
pub(super) async fn wait_for_targets(
    registry: &Registry,
    handle: &Handle,
    starting: &BTreeSet<String>,
) {
    let host = handle.look().container.host.clone();
    let targets = all(&host).flatten().filter_map(|link| registry.find(&link.name).ok());
    let targets = targets.filter(|target| starting.contains(&target.id));
    let waits = targets.map(|target| async move {
        let mut snapshot = target.snapshot.clone();
        drop(snapshot.wait_for(|now| now.is_running() || now.removed).await);
    });
    // What is missing then, the start says.
    drop(tokio::time::timeout(PATIENCE, futures::future::join_all(waits)).await);
}

/// Takes a link out; `None` when there is no such link.
pub(super) fn without(host: &HostConfig, alias: &str) -> Option<HostConfig> {
    let mut left = host.links.clone()?;
    let before = left.len();
    left.retain(|text| !parse(text).is_ok_and(|link| link.alias == alias));
    let links = (!left.is_empty()).then_some(left);
    let fewer = links.as_ref().map_or(0, Vec::len) < before;
    fewer.then(|| HostConfig { links, ..host.clone() })
}

/// The links of a container that is called `name` now; `renamed` says which other has which new
/// name.
pub(super) fn rewritten(
    host: &HostConfig,
    name: &str,
    renamed: Option<(&str, &str)>,
) -> Option<Vec<String>> {
    host.links.as_ref()?;
    let text = |link: Link| {
        let other = match renamed {
            Some((from, to)) if link.name == from => to,
            _ => &link.name,
        };
        format!("/{other}:/{name}/{}", link.alias)
    };
    Some(all(host).flatten().map(text).collect())
}

/// The file with another address for those lines that speak of a link to `name`.
pub(super) fn moved(hosts: &str, host: &HostConfig, name: &str, address: &str) -> String {
    let aliases: Vec<String> =
        all(host).flatten().filter(|link| link.name == name).map(|link| link.alias).collect();
    let line = |line: &str| match line.split_once('\t') {
        Some((_, names))
            if names
                .split([' ', '\t', '.', '\n'])
                .next()
                .is_some_and(|first| aliases.iter().any(|alias| alias == first)) =>
        {
            format!("{address}\t{names}")
        }
        _ => line.to_owned(),
    };
    hosts.split_inclusive('\n').map(line).collect()
}

/// What a container is told about those it is linked to: lines for its hosts file, and variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub hosts: String,
    pub env: Vec<String>,
}

/// All of them must be running.
pub(crate) fn told(registry: &Registry, name: &str, host: &HostConfig) -> Result<Told> {
    let mut told = Told { hosts: hosts(registry, host), env: Vec::new() };
    for link in all(host) {
        let Link { name: other, alias } = link?;
        let found = registry.find(&other)?.look();
        if !found.is_running() {
            return Err(Error::new(
                Kind::Internal,
                format!("Cannot link to a non running container: /{other} AS /{name}/{alias}"),
            ));
        }
        let Some(endpoint) = &found.endpoint else {
            return Err(Error::new(
                Kind::Internal,
                format!("Cannot link to /{other}, as it does not belong to the default network"),
            ));
        };
        told.env.extend(variables(&found, &endpoint.address.to_string(), name, &alias));
    }
    Ok(told)
}

/// The lines for the hosts file; those that do not run have none.
pub(super) fn hosts(registry: &Registry, host: &HostConfig) -> String {
    let mut lines = String::new();
    for Link { name, alias } in all(host).flatten() {
        let Ok(found) = registry.find(&name).map(|handle| handle.look()) else { continue };
        let Some(endpoint) = &found.endpoint else { continue };
        let mut names = vec![alias.as_str(), &found.container.config.hostname];
        if alias != found.container.name {
            names.push(&found.container.name);
        }
        lines += &format!("{}\t{}\n", endpoint.address, names.join(" "));
    }
    lines
}

fn variables(other: &Snapshot, address: &str, name: &str, alias: &str) -> Vec<String> {
    let config = &other.container.config;
    let prefix = alias.to_uppercase().replace('-', "_");
    let mut ports: Vec<(u16, &str)> = config
        .exposed_ports
        .iter()
        .filter_map(|port| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            Some((number.parse().ok()?, protocol))
        })
        .collect();
    ports.sort_by_key(|(number, protocol)| (*protocol != "tcp", *protocol, *number));
    let mut env = Vec::new();
    if let Some((number, protocol)) = ports.first() {
        env.push(format!("{prefix}_PORT={protocol}://{address}:{number}"));
    }
    for (number, protocol) in &ports {
        let port = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        env.push(format!("{port}={protocol}://{address}:{number}"));
        env.push(format!("{port}_ADDR={address}"));
        env.push(format!("{port}_PORT={number}"));
        env.push(format!("{port}_PROTO={protocol}"));
    }
    env.push(format!("{prefix}_NAME=/{name}/{alias}"));
    for (key, value) in config.env.iter().filter_map(|entry| entry.split_once('=')) {
        if !matches!(key, "HOME" | "PATH") {
            env.push(format!("{prefix}_ENV_{key}={value}"));
        }
    }
    env
}

#[cfg(test)]
mod tests;
