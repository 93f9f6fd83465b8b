//! `--link`: another container of the bridge by a name of its own, and what it says of itself as
//! environment variables.

use super::registry::{Registry, Snapshot};
use super::task::Command;
use super::{Containers, ask};
use crate::config::HostConfig;
use crate::error::{Error, Kind, Result};

const WITH_HOST: &str = "conflicting options: host type networking can't be used with links. This \
                         would result in undefined behavior";
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
        let found = registry.find(&other).map_err(missing)?.look();
        if found.container.host.network_mode == "host" {
            return Err(Error::invalid(WITH_HOST));
        }
        links.push(format!("/{}:/{name}/{alias}", found.container.name));
    }
    host.links = (!links.is_empty()).then_some(links);
    Ok(())
}

impl Containers {
    /// `reference` is the container's name and that of the link, `web/db`. One that runs knows the
    /// other until it is started again.
    pub async fn remove_link(&self, reference: &str) -> Result<()> {
        let path = reference.trim_start_matches('/');
        let Some((name, alias)) = path.split_once('/') else {
            self.core.registry.find(reference)?;
            let text = "Conflict, cannot remove the default link name of the container";
            return Err(Error::new(Kind::Internal, text));
        };
        let missing = |_| Error::not_found(format!("No such container: {reference}"));
        let handle = self.core.registry.find(name).map_err(missing)?;
        let alias = alias.to_owned();
        ask(&handle, |reply| Command::Unlink { alias, reply }).await.map_err(missing)
    }
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

/// What a container is told about those it is linked to: lines for its hosts file, and variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub hosts: String,
    pub env: Vec<String>,
}

/// All of them must be running.
pub(crate) fn told(registry: &Registry, name: &str, host: &HostConfig) -> Result<Told> {
    let mut told = Told::default();
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
        let address = endpoint.address.to_string();
        let mut names = vec![alias.as_str(), &found.container.config.hostname];
        if alias != found.container.name {
            names.push(&found.container.name);
        }
        told.hosts += &format!("{address}\t{}\n", names.join(" "));
        told.env.extend(variables(&found, &address, name, &alias));
    }
    Ok(told)
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
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn links_are_read_as_they_are_asked_for_and_as_they_are_shown() {
        let link = |name: &str, alias: &str| Link { name: name.into(), alias: alias.into() };
        assert_eq!(parse("db").unwrap(), link("db", "db"));
        assert_eq!(parse("db:data").unwrap(), link("db", "data"));
        assert_eq!(parse("/db:/web/data").unwrap(), link("db", "data"));
        assert!(parse("").is_err() && parse("a:b:c").is_err());
    }

    #[tokio::test]
    async fn a_linked_container_is_told_by_name_and_by_variables() {
        let world = World::new().await;
        let db = world.create_with("db", &["sleep", "100"], |request| {
            request.config.env = vec!["USER=me".into(), "HOME=/x".into()];
            request.config.exposed_ports = ["5432/tcp".to_owned()].into();
        });
        db.await.unwrap();
        let web = world.create_with("web", &["sleep", "100"], |request| {
            request.host.links = Some(vec!["db:my-data".into()]);
            request.config.env = vec!["MY_DATA_ENV_USER=mine".into()];
        });
        let web = web.await.unwrap();
        let host = world.engine.containers.inspect("web").unwrap().host;
        assert_eq!(host.links.unwrap(), ["/db:/web/my-data"]);
        let error = world.engine.containers.start("web", "").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Cannot link to a non running container: /db AS /web/my-data"
        );
        world.start("db").await;
        world.start("web").await;
        let spec = world.runtime.spec(&web).unwrap();
        for variable in ["MY_DATA_NAME=/web/my-data", "MY_DATA_PORT_5432_TCP_PORT=5432"] {
            assert!(spec.env.iter().any(|it| it == variable), "{variable}: {:?}", spec.env);
        }
        assert!(spec.env.contains(&"MY_DATA_ENV_USER=mine".to_owned()), "its own counts");
        assert!(!spec.env.iter().any(|entry| entry.contains("ENV_HOME")));
        let hosts = spec.mounts.iter().find(|mount| mount.destination == "/etc/hosts").unwrap();
        assert!(std::fs::read_to_string(&hosts.source).unwrap().contains("\tmy-data "));
    }

    #[tokio::test]
    async fn a_link_can_be_taken_out_again() {
        let world = World::new().await;
        world.create("db", &["sleep"]).await;
        let create = world.create_with("web", &["sleep"], |request| {
            request.host.links = Some(vec!["db".into(), "db:data".into()]);
        });
        create.await.unwrap();
        let containers = &world.engine.containers;
        containers.remove_link("web/data").await.unwrap();
        assert_eq!(containers.inspect("web").unwrap().host.links.unwrap(), ["/db:/web/db"]);
        containers.remove_link("/web/db").await.unwrap();
        assert_eq!(containers.inspect("web").unwrap().host.links, None);
        for (reference, text) in [
            ("web/db", "No such container: web/db"),
            ("nosuch/db", "No such container: nosuch/db"),
            ("nosuch", "No such container: nosuch"),
            ("web", "Conflict, cannot remove the default link name of the container"),
        ] {
            let error = containers.remove_link(reference).await.unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        world.start("web").await;
    }

    #[tokio::test]
    async fn a_link_to_nobody_is_refused() {
        let world = World::new().await;
        let create = world.create_with("web", &["true"], |request| {
            request.host.links = Some(vec!["nobody:x".into()]);
        });
        let error = create.await.unwrap_err();
        assert!(error.to_string().starts_with("could not get container for nobody"), "{error}");
    }
}
