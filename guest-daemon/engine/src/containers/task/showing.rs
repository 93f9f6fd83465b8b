//! What a container's task tells the world: the stored record, the snapshot, the events, in this
//! order, so that they cannot disagree.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_store::objects::MountRecord;

use super::super::registry::Snapshot;
use super::super::snapshot;
use super::super::types::Container;
use super::Task;
use crate::blocking::blocking;
use crate::config::ContainerConfig;

impl Task {
    /// Stores the record, then shows it: nobody sees what a crash would take back.
    pub(in crate::containers) async fn commit(&mut self) {
        let (store, record) = (self.core.store.clone(), self.record.clone());
        if let Err(error) = blocking(move || store.put_container(&record)).await {
            tracing::error!(
                container = self.record.id,
                error = error.with_causes(),
                "a container's record is not stored"
            );
        }
        self.publish();
    }

    pub(in crate::containers) fn publish(&mut self) {
        let (core, record) = (&self.core, &self.record);
        let ids = self.exec_ids.clone();
        let next = Snapshot {
            failed_removals: self.failed_removals,
            ..snapshot::take(core, record, self.phase, self.paused, self.exits, ids)
        };
        self.publisher.send_replace(Arc::new(next));
    }

    pub(in crate::containers) fn publish_removed(&mut self) {
        self.publisher.send_modify(|last| {
            let removed = Snapshot { removed: true, process: None, ..(**last).clone() };
            *last = Arc::new(removed);
        });
    }

    pub(in crate::containers) fn event(&self, action: &str, more: &[(&str, String)]) {
        let mut attributes = attributes(&self.record.config, &self.record.name);
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self.core.events.publish("container", action, &self.record.id, attributes);
    }

    pub(in crate::containers) fn network_event(&self, action: &str) {
        for name in self.record.networks.keys() {
            let Some(id) = self.core.network_ids.get(name) else { continue };
            let kind = if name == "none" { "null" } else { name };
            let attributes =
                [("container", self.record.id.as_str()), ("name", name), ("type", kind)];
            self.core.events.publish("network", action, id, owned(&attributes));
        }
    }

    pub(in crate::containers) fn volumes_mounted(&self) {
        for mount in self.volumes() {
            let attributes = [
                ("driver", "local"),
                ("container", self.record.id.as_str()),
                ("destination", mount.destination.as_str()),
                ("read/write", if mount.read_only { "false" } else { "true" }),
                ("propagation", mount.propagation.as_str()),
            ];
            self.core.events.publish("volume", "mount", &mount.name, owned(&attributes));
        }
    }

    pub(in crate::containers) fn volumes_unmounted(&self) {
        let attributes = [("driver", "local"), ("container", self.record.id.as_str())];
        for mount in self.volumes() {
            self.core.events.publish("volume", "unmount", &mount.name, owned(&attributes));
        }
    }

    fn volumes(&self) -> impl Iterator<Item = &MountRecord> {
        self.record.mounts.iter().filter(|mount| mount.kind == "volume")
    }
}

fn owned(attributes: &[(&str, &str)]) -> BTreeMap<String, String> {
    attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What every event of a container says.
pub(crate) fn attributes_of(container: &Container) -> BTreeMap<String, String> {
    attributes(&container.config, &container.name)
}

fn attributes(config: &ContainerConfig, name: &str) -> BTreeMap<String, String> {
    let mut attributes = config.labels.clone();
    attributes.insert("image".to_owned(), config.image.clone());
    attributes.insert("name".to_owned(), name.to_owned());
    attributes
}
