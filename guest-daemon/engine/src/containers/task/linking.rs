//! What changes in a container's links: one is taken out, or another container has another name or
//! another address.

use super::super::state::{Decision, Phase, Request, decide};
use super::super::{launch, links};
use super::{Command, Reply, Task, answer};
use crate::blocking::blocking;
use crate::error::{Error, Result};

/// A change to the links of one container.
#[derive(Clone, Debug)]
pub(crate) enum LinkChange {
    Remove { alias: String },
    TargetRenamed { from: String, to: String },
    TargetMoved { name: String, address: String },
}

impl Task {
    pub(super) async fn link_requested(&mut self, change: LinkChange, reply: Reply<()>) {
        let defer = decide(self.phase, Request::Update) == Decision::Defer;
        match &change {
            // A start reads the address itself, and two that start must not wait for each other.
            LinkChange::TargetMoved { name, address } => {
                let moved = if defer { Ok(()) } else { self.target_moved(name, address).await };
                answer(reply, moved);
            }
            _ if defer => self.deferred.push_back(Command::Link { change, reply }),
            LinkChange::Remove { alias } => {
                let removed = self.unlink(alias).await;
                answer(reply, removed);
            }
            LinkChange::TargetRenamed { from, to } => {
                let (record, renamed) = (&mut self.record, Some((from.as_str(), to.as_str())));
                record.host.links = links::rewritten(&record.host, &record.name, renamed);
                self.commit().await;
                answer(reply, Ok(()));
            }
        }
    }

    async fn unlink(&mut self, alias: &str) -> Result<()> {
        let host = links::without(&self.record.host, alias)
            .ok_or_else(|| Error::not_found(format!("no link {alias}")))?;
        self.record.host = host;
        self.commit().await;
        if self.phase == Phase::Running {
            let written = launch::write_hosts(&self.core, &self.record).await;
            self.warn_of_hosts(written);
        }
        Ok(())
    }

    async fn target_moved(&mut self, name: &str, address: &str) -> Result<()> {
        let (store, id) = (self.core.store.clone(), self.record.id.clone());
        let (host, name, address) = (self.record.host.clone(), name.to_owned(), address.to_owned());
        let written = blocking(move || {
            store.change_container_file(&id, "hosts", |hosts| {
                links::moved(hosts, &host, &name, &address)
            })
        });
        let written = written.await;
        self.warn_of_hosts(written);
        Ok(())
    }

    fn warn_of_hosts(&self, written: Result<()>) {
        if let Err(error) = written {
            tracing::warn!(
                container = self.record.id,
                error = error.with_causes(),
                "the hosts file is not up to date"
            );
        }
    }
}
