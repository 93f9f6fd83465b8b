//! `docker ps`.

mod wanted;

use std::sync::Arc;

use super::Containers;
use super::registry::Snapshot;
use super::types::{Container, ListContainers, Status};
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
        let fitting = found
            .iter()
            .map(|snapshot| &snapshot.container)
            .filter(|container| (all || is_up(container.state.status)) && wanted.fits(container));
        let listed = fitting.take(limit.unwrap_or(usize::MAX));
        Ok(listed.map(|container| self.with_current_image(container.clone())).collect())
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
