//! Images from the engine to the wire.

use std::collections::BTreeMap;

use engine::config::ContainerConfig;
use engine::images::{History, Image, Removed};
use engine_api::container_config::ImageConfig;
use engine_api::container_inspect::GraphDriver;
use engine_api::image::{
    DeleteResponse, HistoryItem, ImageInspect, ImageSummary, ImagesPruned, Metadata, RootFs,
};

use crate::containers::convert::config::{health_to_api, set};
use crate::times;

/// What is only known when disk usage was measured.
const NOT_COUNTED: i64 = -1;

pub(crate) fn summary(image: &Image) -> ImageSummary {
    ImageSummary {
        containers: i64::try_from(image.containers).unwrap_or(NOT_COUNTED),
        created: image.created.map(times::unix_seconds).unwrap_or_default(),
        id: image.id.clone(),
        labels: Some(image.config.labels.clone()).filter(|labels| !labels.is_empty()),
        parent_id: image.parent.clone(),
        repo_digests: image.repo_digests.clone(),
        repo_tags: image.repo_tags.clone(),
        shared_size: image
            .shared_size
            .map_or(NOT_COUNTED, |size| size.try_into().unwrap_or(i64::MAX)),
        size: image.size,
    }
}

pub(super) fn inspect(image: &Image) -> ImageInspect {
    ImageInspect {
        id: image.id.clone(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        parent: image.parent.clone(),
        comment: image.comment.clone(),
        created: image.created.map(times::rfc3339).unwrap_or_default(),
        container: image.container.clone(),
        docker_version: image.docker_version.clone(),
        author: image.author.clone(),
        config: config(&image.config),
        architecture: image.architecture.clone(),
        variant: image.variant.clone(),
        os: image.os.clone(),
        os_version: image.os_version.clone(),
        size: image.size,
        graph_driver: graph_driver(image),
        root_fs: RootFs { kind: "layers".to_owned(), layers: image.layers.clone() },
        metadata: Metadata { last_tag_time: times::rfc3339_or_never(image.last_tagged) },
    }
}

pub(super) fn history(history: Vec<History>) -> Vec<HistoryItem> {
    let item = |step: History| HistoryItem {
        comment: step.comment,
        created: step.created.map(times::unix_seconds).unwrap_or_default(),
        created_by: step.created_by,
        id: Some(step.id).filter(|id| !id.is_empty()).unwrap_or_else(|| "<missing>".to_owned()),
        size: step.size,
        tags: Some(step.tags).filter(|tags| !tags.is_empty()),
    };
    history.into_iter().map(item).collect()
}

pub(super) fn removed(removed: Vec<Removed>) -> Vec<DeleteResponse> {
    let step = |step| match step {
        Removed::Untagged(name) => DeleteResponse { untagged: Some(name), deleted: None },
        Removed::Deleted(id) => DeleteResponse { untagged: None, deleted: Some(id) },
    };
    removed.into_iter().map(step).collect()
}

/// `null` when nothing was removed.
pub(super) fn pruned(removed: Vec<Removed>, space_reclaimed: u64) -> ImagesPruned {
    let images_deleted = Some(self::removed(removed)).filter(|steps| !steps.is_empty());
    ImagesPruned { images_deleted, space_reclaimed }
}

fn config(config: &ContainerConfig) -> ImageConfig {
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: set(&config.exposed_ports),
        env: Some(config.env.clone()),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: Some(config.labels.clone()),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        args_escaped: config.args_escaped,
        healthcheck: config.healthcheck.as_ref().map(health_to_api),
        on_build: config.on_build.clone(),
        shell: config.shell.clone(),
    }
}

fn graph_driver(image: &Image) -> GraphDriver {
    let mut paths = image.layer_paths.iter().map(|path| path.to_string_lossy().into_owned());
    let mut data = BTreeMap::new();
    if let Some(top) = paths.next() {
        let folder = top.strip_suffix("/diff").unwrap_or(&top);
        for (name, place) in [("MergedDir", "merged"), ("WorkDir", "work")] {
            data.insert(name.to_owned(), format!("{folder}/{place}"));
        }
        data.insert("UpperDir".to_owned(), top);
    }
    let lower: Vec<_> = paths.collect();
    if !lower.is_empty() {
        data.insert("LowerDir".to_owned(), lower.join(":"));
    }
    // An image without layers is nowhere.
    GraphDriver { data: Some(data).filter(|data| !data.is_empty()), name: "overlay2".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_without_anything_is_complete() {
        let image = Image { id: "sha256:1".to_owned(), ..Image::default() };
        assert_eq!(
            serde_json::to_value(summary(&image)).unwrap(),
            json!({
                "Containers": 0, "Created": 0, "Id": "sha256:1", "Labels": null, "ParentId": "",
                "RepoDigests": [], "RepoTags": [], "SharedSize": -1, "Size": 0,
            })
        );
        let inspected = serde_json::to_value(inspect(&image)).unwrap();
        assert_eq!(inspected["RepoTags"], json!([]));
        assert_eq!(inspected["Comment"], "");
        assert_eq!(inspected["DockerVersion"], "");
        assert_eq!(inspected["Config"], json!({}));
        assert_eq!(inspected["RootFS"], json!({ "Type": "layers" }));
        assert_eq!(inspected["Metadata"]["LastTagTime"], "0001-01-01T00:00:00Z");
        assert_eq!(inspected.get("Created"), None);
    }

    #[test]
    fn a_step_without_an_image_has_no_id() {
        let (id, tags) = ("sha256:1".to_owned(), vec!["foo:1".to_owned()]);
        let steps = vec![History { id, tags, ..History::default() }, History::default()];
        let items = serde_json::to_value(history(steps)).unwrap();
        assert_eq!(items[0]["Id"], "sha256:1");
        assert_eq!(items[0]["Tags"], json!(["foo:1"]));
        assert_eq!(items[1]["Id"], "<missing>");
        assert_eq!(items[1]["Tags"], json!(null));
    }

    #[test]
    fn each_step_of_a_removal_says_one_thing() {
        let steps =
            vec![Removed::Untagged("a:1".to_owned()), Removed::Deleted("sha256:1".to_owned())];
        assert_eq!(
            serde_json::to_value(removed(steps)).unwrap(),
            json!([{ "Untagged": "a:1" }, { "Deleted": "sha256:1" }])
        );
    }
}
