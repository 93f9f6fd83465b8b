//! `docker ps`.

use std::sync::Arc;

use super::Containers;
use super::registry::Snapshot;
use super::types::{Container, ListContainers, Status};
use crate::error::{Error, Result};
use crate::filters::{self, Filters};

const FILTERS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

impl Containers {
    /// Newest first.
    pub fn list(&self, request: &ListContainers) -> Result<Vec<Container>> {
        let wanted = &request.filters;
        filters::check(wanted, &FILTERS)?;
        check_values(wanted)?;
        let bound = |key: &str| -> Result<Option<i128>> {
            match wanted.get(key).and_then(|values| values.first()) {
                Some(name) => Ok(Some(self.inspect(name)?.created)),
                None => Ok(None),
            }
        };
        let (before, since) = (bound("before")?, bound("since")?);
        let ancestors = self.ancestors(wanted)?;
        // Asking for a state shows those that do not run, too.
        let all = request.all
            || request.limit.is_some_and(|limit| limit > 0)
            || wanted.contains_key("status")
            || wanted.contains_key("exited");
        let mut found: Vec<Arc<Snapshot>> = self.core.registry.snapshots();
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.container.created));
        let fitting = found.iter().map(|snapshot| &snapshot.container).filter(|container| {
            (all || is_up(container.state.status))
                && before.is_none_or(|before| container.created < before)
                && since.is_none_or(|since| container.created > since)
                && ancestors.as_ref().is_none_or(|ids| ids.contains(&container.image_id))
                && fits(wanted, container)
        });
        let limit = request.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        Ok(fitting.take(limit).cloned().collect())
    }

    /// The images that `ancestor` names; unknown ones are nobody's.
    fn ancestors(&self, wanted: &Filters) -> Result<Option<Vec<String>>> {
        let Some(names) = wanted.get("ancestor") else { return Ok(None) };
        let ids = names.iter().filter_map(|name| self.core.images.find(name).ok());
        Ok(Some(ids.map(|image| image.id.clone()).collect()))
    }
}

fn is_up(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

fn check_values(wanted: &Filters) -> Result<()> {
    const STATES: [&str; 7] =
        ["created", "dead", "exited", "paused", "removing", "restarting", "running"];
    const HEALTH: [&str; 4] = ["healthy", "none", "starting", "unhealthy"];
    let check = |key: &str, known: &[&str]| {
        let values = wanted.get(key).into_iter().flatten();
        match values.into_iter().find(|value| !known.contains(&value.as_str())) {
            Some(bad) => Err(Error::invalid(format!("invalid filter '{key}={bad}'"))),
            None => Ok(()),
        }
    };
    check("status", &STATES)?;
    check("health", &HEALTH)?;
    filters::truth(wanted, "is-task")?;
    for value in wanted.get("exited").into_iter().flatten() {
        if value.parse::<i32>().is_err() {
            return Err(Error::invalid(format!("invalid filter 'exited={value}'")));
        }
    }
    Ok(())
}

fn fits(wanted: &Filters, container: &Container) -> bool {
    let status = container.state.status;
    filters::any(wanted, "status", |name| name == status.name())
        && filters::any(wanted, "id", |id| container.id.starts_with(id))
        && filters::any(wanted, "name", |name| name_fits(name, &container.name))
        && filters::labels(wanted, "label", &container.config.labels)
        && filters::any(wanted, "exited", |code| {
            status == Status::Exited && code.parse() == Ok(container.state.exit_code)
        })
        && filters::any(wanted, "health", |health| health == "none")
        && filters::any(wanted, "is-task", |is| matches!(is, "false" | "0" | "False"))
        && filters::any(wanted, "network", |network| {
            container
                .networks
                .iter()
                .any(|(name, at)| name == network || at.network_id.starts_with(network))
        })
        && filters::any(wanted, "volume", |volume| {
            container.mounts.iter().any(|mount| mount.name == volume || mount.destination == volume)
        })
        && filters::any(wanted, "publish", |port| {
            container.published.iter().any(|published| {
                port_fits(port, published.container_port, &published.protocol)
                    || port_fits(port, published.host_port, &published.protocol)
            })
        })
        && filters::any(wanted, "expose", |port| {
            container.config.exposed_ports.iter().any(|exposed| {
                let (number, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
                number.parse().is_ok_and(|number| port_fits(port, number, protocol))
            })
        })
}

/// Docker takes the name as a regular expression; anchors and plain text are what is used.
fn name_fits(pattern: &str, name: &str) -> bool {
    let (pattern, from_start) = match pattern.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let with_slash = format!("/{name}");
    let name = if pattern.starts_with('/') { with_slash.as_str() } else { name };
    let pattern = pattern.strip_prefix("/?").unwrap_or(pattern);
    match (from_start, to_end) {
        (true, true) => name == pattern,
        (true, false) => name.starts_with(pattern),
        (false, true) => name.ends_with(pattern),
        (false, false) => name.contains(pattern),
    }
}

/// `80`, `80/tcp`, `8000-8010`.
fn port_fits(wanted: &str, port: u16, protocol: &str) -> bool {
    let (range, wanted_protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    wanted_protocol == protocol
        && first.parse().is_ok_and(|first: u16| first <= port)
        && last.parse().is_ok_and(|last: u16| port <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_anywhere_unless_anchored() {
        for (pattern, fits) in
            [("we", true), ("^we", true), ("^eb$", false), ("^/web$", true), ("db", false)]
        {
            assert_eq!(name_fits(pattern, "web"), fits, "{pattern}");
        }
        assert!(port_fits("80-90/tcp", 85, "tcp") && !port_fits("80/udp", 80, "tcp"));
    }
}
