//! One line of `docker ps`.

use engine::containers::Container;
use engine_api::container::{Summary, SummaryHostConfig, SummaryNetworkSettings};

use super::{mounts, networks, ports, state};
use crate::times;

/// `image` is the name that is shown for its image, and `links` its names as others have them.
pub(crate) fn to_api(container: &Container, image: &str, links: &[String], now: i128) -> Summary {
    Summary {
        id: container.id.clone(),
        names: names(&container.name, links),
        image: image.to_owned(),
        image_id: container.image_id.clone(),
        command: command(&container.path, &container.args),
        created: times::unix_seconds(container.created),
        ports: ports::to_list(container),
        size_rw: 0,
        size_root_fs: 0,
        labels: container.config.labels.clone(),
        state: container.state.status.name().to_owned(),
        status: state::spoken(container, now),
        host_config: SummaryHostConfig {
            network_mode: container.host.network_mode.clone(),
            annotations: Some(container.host.annotations.clone()),
        },
        network_settings: SummaryNetworkSettings {
            networks: networks::to_api(&container.networks),
        },
        mounts: mounts::listed_to_api(&container.mounts),
    }
}

/// Its own and those that others gave it, sorted.
fn names(own: &String, links: &[String]) -> Vec<String> {
    let all = std::iter::once(own).chain(links);
    let mut names: Vec<String> = all.map(|name| format!("/{name}")).collect();
    names.sort();
    names
}

/// Arguments with spaces are quoted, as a reader would expect.
fn command(path: &str, args: &[String]) -> String {
    let mut words = vec![path.to_owned()];
    let quoted = |arg: &String| {
        if arg.contains(' ') { format!("'{arg}'") } else { arg.clone() }
    };
    words.extend(args.iter().map(quoted));
    words.join(" ")
}
