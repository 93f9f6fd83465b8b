//! The filters of `docker ps`, as dockerd understands them.

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::super::core::Core;
use super::super::types::{Container, Status};
use super::is_up;
use crate::error::{Error, Result};
use crate::filters::{self, Filters};

const KNOWN: [&str; 15] = [
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

const STATES: [&str; 7] =
    ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Filters that were checked and looked up.
pub(super) struct Wanted<'a> {
    filters: &'a Filters,
    names: Option<Vec<Pattern>>,
    ids: Option<Vec<String>>,
    images: Option<Vec<String>>,
    before: Option<i128>,
    since: Option<i128>,
    exited: Vec<i32>,
    is_task: Option<bool>,
    published: BTreeSet<(u16, String)>,
    exposed: BTreeSet<(u16, String)>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(core: &Core, filters: &'a Filters) -> Result<Self> {
        filters::check(filters, &KNOWN)?;
        check_words(filters, "status", "state", &STATES)?;
        check_words(filters, "health", "health", &HEALTH)?;
        let created = |key: &str| -> Result<Option<i128>> {
            let names = values(filters, key).into_iter().flatten();
            let mut all = names.map(|name| Ok(core.registry.find(name)?.look().container.created));
            all.try_fold(None, |_, created| created.map(Some))
        };
        let find_id = |prefix: &String| core.registry.find_id(prefix);
        let made_from = |name: &String| core.images.descendants(name);
        Ok(Self {
            filters,
            names: values(filters, "name")
                .map(|names| names.map(|name| Pattern::new(name)).collect()),
            ids: values(filters, "id").map(|ids| ids.filter_map(find_id).collect()),
            images: filters.get("ancestor").map(|names| names.iter().flat_map(made_from).collect()),
            before: created("before")?,
            since: created("since")?,
            exited: codes(filters)?,
            is_task: filters::truth(filters, "is-task")?,
            published: ports(filters, "publish")?,
            exposed: ports(filters, "expose")?,
        })
    }

    /// `links` are its names at others.
    pub(super) fn fits(&self, container: &Container, links: &[String]) -> bool {
        let state = &container.state;
        let health = state.health.as_ref().map_or("none", |health| health.status.name());
        let among = |list: &Option<Vec<String>>, id: &String| {
            list.as_ref().is_none_or(|list| list.contains(id))
        };
        let ended = !is_up(state.status) && state.started_at.is_some();
        self.before.is_none_or(|before| container.created < before)
            && self.since.is_none_or(|since| container.created > since)
            && among(&self.ids, &container.id)
            && among(&self.images, &container.image_id)
            && self.names.as_ref().is_none_or(|names| names.iter().any(|name| {
                name.fits(&container.name) || links.iter().any(|link| name.fits(link))
            }))
            && (self.exited.is_empty() || (ended && self.exited.contains(&state.exit_code)))
            // Only Swarm makes tasks.
            && self.is_task != Some(true)
            && filters::any(self.filters, "status", |name| name == state.status.name())
            && filters::any(self.filters, "health", |name| name == health)
            && filters::labels(self.filters, "label", &container.config.labels)
            && filters::any(self.filters, "network", |name| in_network(container, name))
            && filters::any(self.filters, "volume", |name| mounts(container, name))
            && self.ports_fit(container)
    }

    /// Any port is enough, be it published or exposed.
    fn ports_fit(&self, container: &Container) -> bool {
        if self.published.is_empty() && self.exposed.is_empty() {
            return true;
        }
        let up = matches!(container.state.status, Status::Running | Status::Paused);
        let key = |port: u16, protocol: &str| (port, protocol.to_owned());
        let published = container.published.iter().any(|port| {
            self.published.contains(&key(port.host_port, &port.protocol))
                || self.exposed.contains(&key(port.container_port, &port.protocol))
        });
        let exposed = container.config.exposed_ports.iter().any(|port| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            number.parse().is_ok_and(|number| self.exposed.contains(&key(number, protocol)))
        });
        up && (published || exposed)
    }
}

/// A name, or a regular expression that is found in it, with its slash or without.
struct Pattern {
    text: String,
    /// `None` when it is not a regular expression.
    expression: Option<Regex>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), expression: Regex::new(text).ok() }
    }

    fn fits(&self, name: &str) -> bool {
        let with_slash = format!("/{name}");
        [name, with_slash.as_str()].iter().any(|name| {
            *name == self.text
                || self.expression.as_ref().is_some_and(|expression| expression.is_match(name))
        })
    }
}

/// `None` when the filter is absent or has no value.
fn values<'a>(filters: &'a Filters, key: &str) -> Option<std::slice::Iter<'a, String>> {
    filters.get(key).filter(|values| !values.is_empty()).map(|values| values.iter())
}

fn check_words(filters: &Filters, key: &str, what: &str, known: &[&str]) -> Result<()> {
    let bad = values(filters, key).into_iter().flatten().find(|word| !known.contains(&&***word));
    match bad {
        None => Ok(()),
        Some(bad) => Err(Error::invalid(format!(
            "invalid filter '{key}={bad}': invalid value for {what} ({bad}): must be one of {}",
            known.join(", ")
        ))),
    }
}

fn codes(filters: &Filters) -> Result<Vec<i32>> {
    let codes = values(filters, "exited").into_iter().flatten().map(|code| {
        code.parse().map_err(|_| {
            Error::invalid(format!(
                "invalid filter 'exited={code}': strconv.Atoi: parsing \"{code}\": invalid syntax"
            ))
        })
    });
    codes.collect()
}

/// `80`, `80/udp`, `8000-8010`.
fn ports(filters: &Filters, key: &str) -> Result<BTreeSet<(u16, String)>> {
    let mut ports = BTreeSet::new();
    for value in values(filters, key).into_iter().flatten() {
        if value.contains(':') {
            return Err(Error::invalid(format!(
                "filter for '{key}' should not contain ':': {value}"
            )));
        }
        let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bad = |why: String| {
            Error::invalid(format!("error while looking up for {key} {value}: {why}"))
        };
        let (first, last) = (port(first).map_err(bad)?, port(last).map_err(bad)?);
        if last < first {
            return Err(bad(format!("Invalid range specified for the Port: {range}")));
        }
        ports.extend((first..=last).map(|port| (port, protocol.to_owned())));
    }
    Ok(ports)
}

/// The error is in Go's words.
fn port(text: &str) -> std::result::Result<u16, String> {
    if text.is_empty() {
        return Err("Empty string specified for ports.".to_owned());
    }
    text.parse().map_err(|_| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let why = if is_number { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseUint: parsing \"{text}\": {why}")
    })
}

fn in_network(container: &Container, name: &str) -> bool {
    let mut networks = container.networks.iter();
    networks.any(|(known, at)| known == name || at.network_id.starts_with(name))
}

fn mounts(container: &Container, name: &str) -> bool {
    container.mounts.iter().any(|mount| {
        let source = if mount.name.is_empty() { &mount.source } else { &mount.name };
        mount.destination == name || source == name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_anywhere_as_regular_expressions() {
        for (pattern, fits) in [
            ("we", true),
            ("^web", true),
            ("^eb", false),
            ("^/web-1$", true),
            ("web-[0-9]+$", true),
            ("db|web", true),
            ("(", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits("web-1"), fits, "{pattern}");
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused_in_dockers_words() {
        let filters = |key: &str, value: &str| Filters::from([(key.into(), vec![value.into()])]);
        let bad = filters("status", "gone");
        let error = check_words(&bad, "status", "state", &STATES).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid filter 'status=gone': invalid value for state (gone): must be one of created, \
             running, paused, restarting, removing, exited, dead"
        );
        assert!(codes(&filters("exited", "x")).is_err());
        assert!(ports(&filters("publish", "80:80"), "publish").is_err());
        let error = ports(&filters("publish", "x"), "publish").unwrap_err().to_string();
        assert!(error.ends_with("publish x: strconv.ParseUint: parsing \"x\": invalid syntax"));
        assert!(ports(&filters("publish", "9-8"), "publish").is_err());
        let range = ports(&filters("publish", "80-82/udp"), "publish").unwrap();
        assert_eq!(range.len(), 3);
        assert!(range.contains(&(81, "udp".to_owned())));
    }
}
