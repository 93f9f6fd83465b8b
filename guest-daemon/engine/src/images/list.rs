//! Showing images.

use std::collections::BTreeMap;

use engine_store::objects::ImageRecord;

use super::Images;
use super::pattern::Pattern;
use super::reference::Reference;
use super::types::{History, Image, ListImages};
use crate::error::Result;
use crate::filters;

const FILTERS: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

impl Images {
    /// Newest first.
    pub fn list(&self, request: &ListImages) -> Result<Vec<Image>> {
        filters::check(&request.filters, &FILTERS)?;
        let wanted = self.wanted(request)?;
        let records: Vec<_> = self.state().images.values().cloned().collect();
        let mut images: Vec<Image> = records
            .iter()
            .filter(|record| wanted.has_time(record.created))
            .filter(|record| filters::labels(&request.filters, "label", &record.config.labels))
            .filter_map(|record| wanted.named(self.show(record)))
            .filter(|image| {
                let has_no_tag = image.repo_tags.is_empty();
                let nameless = has_no_tag && image.repo_digests.is_empty();
                let is_head = || !self.state().has_children(&image.id);
                match wanted.dangling {
                    Some(true) => has_no_tag && is_head(),
                    Some(false) => !nameless,
                    None => request.all || !nameless || is_head(),
                }
            })
            .collect();
        if request.shared_size {
            let shared = self.shared_sizes();
            for image in &mut images {
                image.shared_size = Some(shared.get(&image.id).copied().unwrap_or(0));
            }
        }
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        Ok(images)
    }

    fn wanted(&self, request: &ListImages) -> Result<Wanted> {
        let values = |key: &str| request.filters.get(key).into_iter().flatten();
        let times = |key: &str| -> Result<Vec<i128>> {
            let mut times = Vec::new();
            for image in values(key) {
                times.extend(self.find(image)?.created.map(i128::from));
            }
            Ok(times)
        };
        let mut before = times("before")?;
        for value in values("until") {
            before.push(filters::moment(value, self.inner.clock.now())?);
        }
        let patterns = values("reference").map(|text| Pattern::parse(text));
        Ok(Wanted {
            dangling: filters::truth(&request.filters, "dangling")?,
            before: before.into_iter().min(),
            since: times("since")?.into_iter().max(),
            patterns: patterns.collect::<Result<_>>()?,
        })
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
            comment: comment(record),
            created: record.created.map(i128::from),
            docker_version: record.docker_version.clone(),
            container: record.container.clone(),
            author: record.author.clone(),
            architecture: record.architecture.clone(),
            variant: record.variant.clone(),
            os: record.os.clone(),
            os_version: record.os_version.clone(),
            size: state.size_of(record),
            config: record.config.clone(),
            layers: record.layers.clone(),
            layer_paths: self.layer_paths(&record.layers),
            history: history(record, &state.layer_sizes),
            repo_tags: tags,
            last_tagged: record.last_tagged.map(i128::from),
            containers,
            shared_size: None,
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

/// An image that says nothing itself has what was said of its last step.
fn comment(record: &ImageRecord) -> String {
    let last = record.history.last().map(|step| &step.comment);
    last.filter(|_| record.comment.is_empty()).unwrap_or(&record.comment).clone()
}

/// What a list is asked for, understood.
struct Wanted {
    dangling: Option<bool>,
    before: Option<i128>,
    since: Option<i128>,
    patterns: Vec<Pattern>,
}

impl Wanted {
    /// An image that does not say when it was made is neither before nor after anything.
    fn has_time(&self, created: Option<i64>) -> bool {
        let created = created.map(i128::from);
        self.before.is_none_or(|before| created.is_some_and(|created| created < before))
            && self.since.is_none_or(|since| created.is_some_and(|created| created > since))
    }

    /// The image with those of its names that fit; nothing when none does.
    fn named(&self, mut image: Image) -> Option<Image> {
        if self.patterns.is_empty() {
            return Some(image);
        }
        let fits = |name: &String| {
            let repository = name.split_once('@').map_or_else(
                || name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository),
                |(repository, _)| repository,
            );
            self.patterns.iter().any(|pattern| pattern.fits(name) || pattern.fits(repository))
        };
        image.repo_tags.retain(fits);
        image.repo_digests.retain(fits);
        let nameless = image.repo_tags.is_empty() && image.repo_digests.is_empty();
        (!nameless).then_some(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_filters_are_about_names_with_and_without_their_tag() {
        let image = Image {
            repo_tags: vec!["busybox:latest".to_owned(), "localhost:5000/b:1".to_owned()],
            repo_digests: vec!["busybox@sha256:1".to_owned()],
            ..Image::default()
        };
        let left = |pattern: &str| {
            let patterns = vec![Pattern::parse(pattern).unwrap()];
            let wanted = Wanted { dangling: None, before: None, since: None, patterns };
            wanted.named(image.clone()).map(|image| (image.repo_tags, image.repo_digests))
        };
        let (tags, digests) = left("busy*").unwrap();
        assert_eq!((tags.len(), digests.len()), (1, 1));
        let (tags, digests) = left("*:latest").unwrap();
        assert_eq!((tags.len(), digests.len()), (1, 0));
        assert_eq!(left("localhost:5000/b").unwrap().0, ["localhost:5000/b:1"]);
        assert!(left("busybox:1").is_none());
    }
}
