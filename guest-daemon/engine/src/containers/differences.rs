//! `docker diff` and `docker export`: a container held against its image, and all of it.

use engine_store::Change;

use super::Containers;
use super::types::{Container, Status};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::images::ByteStream;
use crate::sending::written;

impl Containers {
    /// What a container changed of its image.
    pub async fn changes(&self, reference: &str) -> Result<Vec<Change>> {
        let container = self.core.registry.find(reference)?.look().container.clone();
        let (store, id, lower) = (self.core.store.clone(), container.id, container.root.lower);
        blocking(move || store.container_changes(&id, &lower)).await
    }

    /// A tar stream of a container's root without what is mounted into it.
    pub fn export(&self, reference: &str) -> Result<ByteStream> {
        let container = self.core.registry.find(reference)?.look().container.clone();
        check_there(&container, "export")?;
        let all = self.clone();
        Ok(written(move |writer| {
            let (id, lower) = (&container.id, &container.root.lower);
            all.core.store.export_container(id, lower, writer)?;
            all.tell(&container, "export");
            Ok(())
        }))
    }
}

/// Whether a container is not about to vanish.
pub(super) fn check_there(container: &Container, verb: &str) -> Result<()> {
    let id = &container.id;
    match container.state.status {
        Status::Dead => {
            Err(Error::conflict(format!("You cannot {verb} container {id} which is Dead")))
        }
        Status::Removing => {
            Err(Error::conflict(format!("You cannot {verb} container {id} which is being removed")))
        }
        Status::Created
        | Status::Running
        | Status::Paused
        | Status::Restarting
        | Status::Exited => Ok(()),
    }
}
