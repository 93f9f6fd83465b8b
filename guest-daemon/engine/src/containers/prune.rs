//! `docker container prune`.

use std::collections::BTreeMap;

use super::list::is_up;
use super::task::Command;
use super::{Containers, ask};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::filters::{self, Filters};

const FILTERS: [&str; 3] = ["label", "label!", "until"];

impl Containers {
    /// Removes what does not run; the ids, and the bytes that were given back.
    pub async fn prune(&self, wanted: &Filters) -> Result<(Vec<String>, u64)> {
        filters::check(wanted, &FILTERS)?;
        let until = filters::until(wanted, self.core.clock.now())?;
        let _only_one = self
            .pruning
            .try_lock()
            .map_err(|_| Error::conflict("a prune operation is already running"))?;
        let mut handles = self.core.registry.all();
        handles.sort_by_key(|handle| handle.look().container.created);
        let (mut removed, mut bytes) = (Vec::new(), 0);
        for handle in handles {
            let container = &handle.look().container;
            if is_up(container.state.status)
                || until.is_some_and(|until| container.created > until)
                || !filters::labels_to_prune(wanted, &container.config.labels)
            {
                continue;
            }
            let (store, id) = (self.core.store.clone(), handle.id.clone());
            let size = blocking(move || store.container_size(&id)).await.unwrap_or(0);
            let remove =
                ask(&handle, |reply| Command::Remove { force: false, volumes: false, reply });
            match remove.await {
                Ok(()) => {
                    bytes += size;
                    removed.push(handle.id);
                }
                // It may have been started in the meantime.
                Err(error) => tracing::info!(container = handle.id, reason = %error, "not pruned"),
            }
        }
        let attributes = BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]);
        self.core.events.publish("container", "prune", "", attributes);
        Ok((removed, bytes))
    }
}
