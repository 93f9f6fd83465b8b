//! What the entries of a container's log carry besides their text.

use std::collections::BTreeMap;

use engine_store::objects::ContainerRecord;
use regex_lite::Regex;

use super::options::option;
use super::tag;
use crate::config::LogConfig;
use crate::error::{Error, Result};

/// Whose log it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub record: &'a ContainerRecord,
    /// The machine's name.
    pub host: &'a str,
}

impl Subject<'_> {
    /// The labels and variables that the options name, and the tag.
    pub(super) fn attributes(
        &self,
        config: &LogConfig,
        prefix: &str,
    ) -> Result<BTreeMap<String, String>> {
        let option = |name: &str| option(config, &format!("{prefix}{name}"));
        let container = &self.record.config;
        let labels: Vec<_> =
            container.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let variables: Vec<_> =
            container.env.iter().filter_map(|entry| entry.split_once('=')).collect();
        let mut attributes = BTreeMap::new();
        for (list, names, pattern) in
            [(labels, "labels", "labels-regex"), (variables, "env", "env-regex")]
        {
            let names: Vec<&str> = option(names).split(',').collect();
            let pattern = pattern_of(option(pattern))?;
            let chosen = list.into_iter().filter(|(key, _)| {
                names.contains(key) || pattern.as_ref().is_some_and(|one| one.is_match(key))
            });
            attributes.extend(chosen.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        let template = option("tag");
        if !template.is_empty() {
            let tag = tag::fill(template, self)?;
            if !tag.is_empty() {
                attributes.insert("tag".to_owned(), tag);
            }
        }
        Ok(attributes)
    }
}

fn pattern_of(text: &str) -> Result<Option<Regex>> {
    if text.is_empty() {
        return Ok(None);
    }
    let compiled = Regex::new(text);
    compiled.map(Some).map_err(|error| Error::invalid(format!("error parsing regexp: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_variables_are_chosen_by_name_and_by_pattern() {
        let mut record = ContainerRecord { name: "web".into(), ..Default::default() };
        let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        record.config.labels = [("a.b", "1"), ("c", "2"), ("d", "3")].map(pair).into();
        record.config.env = ["A=x", "B=y=z", "C"].map(str::to_owned).to_vec();
        let options = [
            ("labels", "c,nosuch"),
            ("labels-regex", "^a\\."),
            ("env", "C"),
            ("env-regex", "B"),
            ("tag", "{{.Name}}"),
        ];
        let config = LogConfig { driver: String::new(), options: options.map(pair).into() };
        let found = Subject { record: &record, host: "" }.attributes(&config, "").unwrap();
        let expected = [("B", "y=z"), ("a.b", "1"), ("c", "2"), ("tag", "web")].map(pair).into();
        assert_eq!(found, expected);
    }
}
