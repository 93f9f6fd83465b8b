//! `docker ps`.

mod wanted;

use std::sync::Arc;

use super::registry::Snapshot;
use super::types::{Container, ListContainers, Status};
use super::{Containers, links};
use crate::error::Result;
use wanted::Wanted;

impl Containers {
    /// Newest first.
    pub fn list(&self, request: &ListContainers) -> Result<Vec<Container>> {
        let wanted = Wanted::new(&self.core, &request.filters)?;
        let limit = request.limit.filter(|limit| *limit > 0);
        // Asking for a state shows those that do not run, too.
        let all = request.all || limit.is_some() || request.filters.contains_key("status");
        let mut found: Vec<Arc<Snapshot>> = self.core.registry.snapshots();
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.container.created));
        let links = links::names(&found);
        let none = Vec::new();
        let fitting = found
            .iter()
            .map(|snapshot| &snapshot.container)
            .map(|container| (container, links.get(&container.name).unwrap_or(&none)))
            .filter(|(container, links)| {
                (all || is_up(container.state.status)) && wanted.fits(container, links)
            });
        let listed = fitting.take(limit.unwrap_or(usize::MAX)).map(|(container, links)| {
            let link_names = links.clone();
            self.with_current_image(Container { link_names, ..container.clone() })
        });
        Ok(listed.collect())
    }

    /// The name that it was made with may mean another image by now; then the id is shown.
    fn with_current_image(&self, mut container: Container) -> Container {
        let now = self.core.images.find(&container.config.image);
        if now.is_ok_and(|image| image.id == container.image_id) {
            return container;
        }
        container.config.image.clone_from(&container.image_id);
        container
    }
}

pub(super) fn is_up(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}
