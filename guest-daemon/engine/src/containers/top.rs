//! `docker top`: ps, without the program. Which processes there are is given; its arguments choose
//! what is shown of each.

mod arguments;
mod columns;

use super::types::{Status, Top};
use super::{Containers, attributes_of, not_running};
use crate::error::{Error, Result};
use columns::{Facts, show};

impl Containers {
    pub async fn top(&self, reference: &str, ps_args: &str) -> Result<Top> {
        let columns = arguments::parse(ps_args)?;
        let handle = self.core.registry.find(reference)?;
        let snapshot = handle.look();
        match snapshot.container.state.status {
            Status::Running | Status::Paused => {}
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "Container {} is restarting, wait until the container is running",
                    handle.id
                )));
            }
            Status::Created | Status::Removing | Status::Exited | Status::Dead => {
                return Err(not_running(&handle.id));
            }
        }
        let table = self.core.runtime.process_table(&handle.id).await?;
        let facts = Facts { now: self.core.clock.now(), memory: self.core.host.memory };
        let attributes = attributes_of(&snapshot.container);
        self.core.events.publish("container", "top", &handle.id, attributes);
        let line = |entry| columns.iter().map(|column| show(&column.key, entry, &facts)).collect();
        Ok(Top {
            processes: table.iter().map(line).collect(),
            titles: columns.into_iter().map(|column| column.title).collect(),
        })
    }
}
