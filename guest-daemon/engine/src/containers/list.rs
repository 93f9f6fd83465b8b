//! `docker ps`.

mod wanted;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use super::registry::Snapshot;
use super::types::{Container, ListContainers, Status};
use super::{Containers, links};
use crate::error::Result;
use wanted::Wanted;

/// A container and what only lists say of it.
#[derive(Clone, Debug)]
pub struct Listed {
    snapshot: Arc<Snapshot>,
    /// What others that are linked to it call it, `web/db`.
    pub link_names: Vec<String>,
    /// What it was made from, as it was asked for; the image's id when that means another by now.
    pub image: String,
}

impl Deref for Listed {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.snapshot.container
    }
}

impl Containers {
    /// Newest first.
    pub fn list(&self, request: &ListContainers) -> Result<Vec<Listed>> {
        let wanted = Wanted::new(&self.core, &request.filters)?;
        let limit = request.limit.filter(|limit| *limit > 0);
        // Asking for a state shows those that do not run, too.
        let all = request.all || limit.is_some() || request.filters.contains_key("status");
        let mut found: Vec<Arc<Snapshot>> = self.core.registry.snapshots();
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.container.created));
        let mut links = links::names(&found);
        let mut images = HashMap::new();
        let mut listed = Vec::new();
        for snapshot in found {
            let container = &snapshot.container;
            let link_names = links.remove(&container.name).unwrap_or_default();
            if (!all && !is_up(container.state.status)) || !wanted.fits(container, &link_names) {
                continue;
            }
            if listed.len() == limit.unwrap_or(usize::MAX) {
                break;
            }
            let name = &container.config.image;
            let meant = images.entry(name.clone()).or_insert_with(|| {
                // Most containers of a list are of few images.
                self.core.images.find(name).ok().map(|image| image.id.clone())
            });
            let is_meant = meant.as_ref() == Some(&container.image_id);
            let image = if is_meant { name } else { &container.image_id }.clone();
            listed.push(Listed { link_names, image, snapshot });
        }
        Ok(listed)
    }
}

pub(super) fn is_up(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}
