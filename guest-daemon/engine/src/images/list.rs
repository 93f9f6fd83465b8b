//! Showing images.

use std::collections::BTreeMap;

use engine_store::objects::ImageRecord;

use super::Images;
use super::reference::Reference;
use super::types::{History, Image, ListImages};
use crate::error::Result;
use crate::filters;

const FILTERS: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

impl Images {
    /// Newest first.
    pub fn list(&self, request: &ListImages) -> Result<Vec<Image>> {
        filters::check(&request.filters, &FILTERS)?;
        let dangling = filters::truth(&request.filters, "dangling")?;
        let bound = |key: &str| -> Result<Option<i64>> {
            match request.filters.get(key).and_then(|values| values.first()) {
                Some(image) => Ok(Some(self.find(image)?.created.unwrap_or(0))),
                None => Ok(None),
            }
        };
        let (before, since) = (bound("before")?, bound("since")?);
        let until = match request.filters.get("until").and_then(|values| values.first()) {
            Some(text) => Some(parse_until(text, self.inner.clock.now())?),
            None => None,
        };
        let records: Vec<_> = self.state().images.values().cloned().collect();
        let mut images: Vec<Image> = records
            .iter()
            .filter(|record| {
                let created = record.created.unwrap_or(0);
                before.is_none_or(|before| created < before)
                    && since.is_none_or(|since| created > since)
                    && until.is_none_or(|until| i128::from(created) <= until)
                    && filters::labels(&request.filters, "label", &record.config.labels)
            })
            .map(|record| self.show(record))
            .filter(|image| {
                let nameless = image.repo_tags.is_empty() && image.repo_digests.is_empty();
                let is_step = nameless && self.state().has_children(&image.id);
                (request.all || !is_step) && dangling.is_none_or(|wanted| wanted == nameless)
            })
            .collect();
        if let Some(patterns) = request.filters.get("reference") {
            for image in &mut images {
                image.repo_tags.retain(|name| patterns.iter().any(|p| name_fits(p, name)));
            }
            images.retain(|image| !image.repo_tags.is_empty());
        }
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        Ok(images)
    }

    /// Newest first.
    pub fn history(&self, reference: &str) -> Result<Vec<History>> {
        let image = self.inspect(reference)?;
        let mut history = image.history;
        history.reverse();
        // Each step back is the image that the one after it was made from, if that is still here.
        let (state, mut id) = (self.state(), image.id);
        for step in &mut history {
            let Some(image) = state.images.get(&id) else { break };
            let names = state.names_of(&id);
            step.tags =
                names.iter().filter(|name| name.tag.is_some()).map(Reference::familiar).collect();
            step.id = id;
            id = image.parent.clone();
        }
        Ok(history)
    }

    pub(super) fn show(&self, record: &ImageRecord) -> Image {
        let containers = self
            .inner
            .registry
            .snapshots()
            .iter()
            .filter(|snapshot| snapshot.container.image_id == record.id)
            .count();
        let state = self.state();
        let names = state.names_of(&record.id);
        let tags: Vec<String> =
            names.iter().filter(|name| name.tag.is_some()).map(Reference::familiar).collect();
        Image {
            id: record.id.clone(),
            repo_digests: names
                .iter()
                .filter(|name| name.digest.is_some())
                .map(Reference::familiar)
                .collect(),
            parent: record.parent.clone(),
            comment: record.comment.clone(),
            created: record.created.map(i128::from),
            author: record.author.clone(),
            architecture: record.architecture.clone(),
            variant: record.variant.clone(),
            os: record.os.clone(),
            size: state.size_of(record),
            config: record.config.clone(),
            layers: record.layers.clone(),
            layer_paths: self.layer_paths(&record.layers),
            history: history(record, &state.layer_sizes),
            repo_tags: tags,
            last_tagged: record.last_tagged.map(i128::from),
            containers,
        }
    }
}

/// Oldest first, with the layers' sizes.
fn history(record: &ImageRecord, sizes: &BTreeMap<String, u64>) -> Vec<History> {
    let mut layers = record.layers.iter();
    record
        .history
        .iter()
        .map(|step| {
            let layer = if step.empty_layer { None } else { layers.next() };
            History {
                created: step.created.map(i128::from),
                created_by: step.created_by.clone(),
                comment: step.comment.clone(),
                empty_layer: step.empty_layer,
                size: layer.and_then(|layer| sizes.get(layer)).copied().unwrap_or(0),
                ..History::default()
            }
        })
        .collect()
}

/// A pattern of `path.Match` against `name`, `name:tag`, and the name without its registry.
fn name_fits(pattern: &str, name: &str) -> bool {
    let familiar = Reference::parse(pattern).map_or(pattern.to_owned(), |parsed| {
        let repository = parsed.familiar_repository();
        parsed.tag.map_or(repository.clone(), |tag| format!("{repository}:{tag}"))
    });
    let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
    [pattern, familiar.as_str()].iter().any(|pattern| {
        glob(pattern.as_bytes(), name.as_bytes()) || glob(pattern.as_bytes(), repository.as_bytes())
    })
}

/// `*` and `?` do not match a slash.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(first, more)| *first != b'/' && glob(pattern, more))
        }
        (Some((b'?', rest)), Some((first, more))) => *first != b'/' && glob(rest, more),
        (Some((wanted, rest)), Some((first, more))) => wanted == first && glob(rest, more),
        _ => false,
    }
}

/// A time, or how long ago.
fn parse_until(text: &str, now: i128) -> Result<i128> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(i128::from(seconds) * 1_000_000_000);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_nanosecond());
    }
    match text.parse::<jiff::SignedDuration>() {
        Ok(ago) => Ok(now - ago.as_nanos()),
        Err(_) => Err(crate::Error::invalid(format!("invalid filter 'until={text}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_filters_are_patterns() {
        assert!(name_fits("busybox", "busybox:latest"));
        assert!(name_fits("busy*", "busybox:latest"));
        assert!(name_fits("*:latest", "busybox:latest"));
        assert!(name_fits("docker.io/library/busybox", "busybox:latest"));
        assert!(!name_fits("busy*", "me/busybox:latest"));
        assert!(!name_fits("busybox:1", "busybox:latest"));
    }

    #[test]
    fn until_is_a_time_or_an_age() {
        assert_eq!(parse_until("10", 0).unwrap(), 10_000_000_000);
        assert_eq!(parse_until("1s", 5_000_000_000).unwrap(), 4_000_000_000);
        assert!(parse_until("soon", 0).is_err());
    }

    #[test]
    fn damaged_times_are_understood_or_refused() {
        let seeds = ["24h", "1h30m5.5s", "2001-02-03T04:05:06Z", "1700000000.5"];
        fuzz::text_rounds(&seeds, |text| drop(parse_until(text, i128::from(i64::MAX))));
    }
}
