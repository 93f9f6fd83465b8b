//! How a container gets another name, and how it goes for good.

use engine_store::objects::StoredStatus;

use super::super::state::{Decision, Phase, Request, decide};
use super::super::{links, names};
use super::{Command, Reply, Task, answer};
use crate::blocking::blocking;
use crate::error::{Error, Result};

impl Task {
    pub(super) async fn remove_requested(
        &mut self,
        force: bool,
        volumes: bool,
        reply: Reply<()>,
    ) -> bool {
        match decide(self.phase, Request::Remove { force }) {
            Decision::Defer => {
                self.deferred.push_back(Command::Remove { force, volumes, reply });
                return false;
            }
            Decision::KillFirst => {
                self.removers.push((volumes, reply));
                self.kill_now().await;
                return false;
            }
            Decision::CancelRestart => self.cancel_restart(true).await,
            Decision::Act => {}
            _ => {
                answer(reply, Err(self.still_running()));
                return false;
            }
        }
        let gone = self.remove(volumes).await;
        answer(reply, if gone { Ok(()) } else { Err(self.not_removed()) });
        gone
    }

    pub(super) async fn rename_requested(&mut self, name: String, reply: Reply<()>) {
        if decide(self.phase, Request::Rename) == Decision::Defer {
            self.deferred.push_back(Command::Rename { name, reply });
            return;
        }
        let result = self.rename(name).await;
        answer(reply, result);
    }

    async fn rename(&mut self, name: String) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        // With its slash, as dockerd names it in errors.
        let name = format!("/{}", name.strip_prefix('/').unwrap_or(&name));
        if name[1..] == self.record.name {
            return Err(Error::invalid(
                "Renaming a container with the same name as its current name",
            ));
        }
        let reserved = names::checked(&name).and_then(|name| {
            self.core.registry.reserve(name, &self.record.id)?;
            Ok(name)
        });
        let name = reserved.map_err(|error| error.within("Error when allocating new name"))?;
        let old = std::mem::replace(&mut self.record.name, name.to_owned());
        self.record.host.links = links::rewritten(&self.record.host, name, None);
        self.commit().await;
        self.core.registry.release(&old);
        self.event("rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Takes the container away; `false` when it is still there.
    pub(super) async fn remove(&mut self, volumes: bool) -> bool {
        let before = self.record.state.status;
        self.record.state.status = StoredStatus::Removing;
        self.publish();
        let (store, id) = (self.core.store.clone(), self.record.id.clone());
        if let Err(error) = blocking(move || store.remove_container(&id)).await {
            tracing::error!(
                container = self.record.id,
                error = error.with_causes(),
                "a container is not removed"
            );
            self.record.state.status = before;
            self.record.state.error = error.with_causes();
            self.failed_removals += 1;
            self.commit().await;
            return false;
        }
        self.core.registry.remove(&self.record.id, &self.record.name);
        self.core.execs.forget_container(&self.record.id);
        if volumes {
            let anonymous = self.record.mounts.iter().filter(|mount| mount.anonymous);
            for mount in anonymous.filter(|mount| mount.kind == "volume") {
                // Another container may use it by name; then it stays.
                if let Err(error) = self.core.volumes.remove(&mount.name, true).await {
                    tracing::info!(volume = mount.name, reason = %error, "a volume stays");
                }
            }
        }
        self.hub.end_run();
        self.event("destroy", &[]);
        self.publish_removed();
        let layers: Vec<String> = self.record.all_layers().cloned().collect();
        self.core.images.release(&layers);
        true
    }

    fn still_running(&self) -> Error {
        let why = match self.phase {
            _ if self.paused => "container is paused and must be unpaused first",
            Phase::Restarting => {
                "container is restarting: stop the container before removing or force remove"
            }
            _ => "container is running: stop the container before removing or force remove",
        };
        Error::conflict(why)
    }

    pub(super) fn not_removed(&self) -> Error {
        Error::new(crate::Kind::Internal, self.record.state.error.clone())
    }
}
