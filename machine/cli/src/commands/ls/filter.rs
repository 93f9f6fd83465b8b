//! `--filter KEY=VALUE`: which machines are shown.

use std::collections::BTreeMap;

use regex::Regex;

use super::row::Row;
use crate::error::CommandError;

/// Within a list any may fit; a list that is empty fits all.
#[derive(Debug, Default)]
pub(super) struct Filters {
    drivers: Vec<String>,
    states: Vec<String>,
    swarms: Vec<String>,
    names: Vec<Regex>,
    labels: Vec<String>,
}

impl Filters {
    pub(super) fn parse(given: &[String]) -> Result<Self, CommandError> {
        let mut filters = Self::default();
        for filter in given {
            let Some((key, value)) = filter.split_once('=') else {
                return Err(CommandError::usage("Unsupported filter syntax")
                    .hint("write it like --filter state=Running"));
            };
            match key.trim().to_lowercase().as_str() {
                "driver" => filters.drivers.push(value.to_lowercase()),
                "state" => filters.states.push(value.to_lowercase()),
                "swarm" => filters.swarms.push(value.to_lowercase()),
                "label" => filters.labels.push(value.to_owned()),
                "name" => filters.names.push(Regex::new(value).map_err(|error| {
                    CommandError::usage(format!("the filter {filter:?} cannot be used"))
                        .because(&error)
                        .hint("its value is a regular expression, such as ^dev")
                })?),
                _ => {
                    let key = key.escape_debug();
                    return Err(CommandError::usage(format!("Unsupported filter key '{key}'"))
                        .hint("there are driver, state, swarm, name and label"));
                }
            }
        }
        Ok(filters)
    }

    pub(super) fn need_state(&self) -> bool {
        !self.states.is_empty()
    }

    /// `masters` are the names of swarms' masters.
    pub(super) fn fit(&self, row: &Row, masters: &BTreeMap<String, String>) -> bool {
        let is_one_of = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.contains(&value.to_lowercase())
        };
        let record = row.record.as_ref();
        let swarm = record.and_then(|record| record.swarm.as_ref());
        let master = swarm.and_then(|swarm| masters.get(&swarm.discovery));
        let labels = record.map_or(&[][..], |record| &record.engine.labels);
        is_one_of(&self.drivers, &row.machine.driver)
            && is_one_of(&self.states, &row.machine.state.to_string())
            && is_one_of(&self.swarms, master.map_or("", String::as_str))
            && (self.names.is_empty() || self.names.iter().any(|n| n.is_match(&row.machine.name)))
            && (self.labels.is_empty() || self.labels.iter().any(|wanted| labels.contains(wanted)))
    }
}

/// The masters' names, by how their swarms are found.
pub(super) fn masters(rows: &[Row]) -> BTreeMap<String, String> {
    rows.iter()
        .filter_map(|row| {
            let swarm = row.record.as_ref()?.swarm.as_ref()?;
            swarm.is_master.then(|| (swarm.discovery.clone(), row.machine.name.clone()))
        })
        .collect()
}
