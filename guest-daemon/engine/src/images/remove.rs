//! Taking names away and removing images, in dockerd's order and words.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Images;
use super::reference::Reference;
use super::types::Removed;
use crate::blocking::blocking;
use crate::containers::Snapshot;
use crate::error::{Error, Result};
use crate::ids;

impl Images {
    /// Removes a name, and the image when that was its last; with `prune` also images that it was
    /// made from and that nobody needs any more.
    pub async fn remove(&self, reference: &str, force: bool, prune: bool) -> Result<Vec<Removed>> {
        let change = self.inner.change.lock().await;
        let image = self.find(reference)?;
        let names = self.state().names_of(&image.id);
        let users = self.users(&image.id);
        let by_id = is_id_of(&image.id, reference);
        let has_children = self.state().has_children(&image.id);
        let gone = if by_id {
            check_childless(&image.id, has_children)?;
            check_by_id(&image.id, &names, &users, force)?;
            names.clone()
        } else {
            let using = self.using(&image.id);
            check_by_name(reference, &image.id, &names, &using, force)?;
            untagged_with(Reference::parse(reference)?.or_latest(), &names)
        };
        let running = users.iter().any(|user| user.is_running());
        // A name can be taken from an image that is in use; the image then stays without one.
        let last = gone.len() == names.len() && !running && !has_children;
        let mut removed = self.take_names(&gone).await?;
        // The digests that go with a tag are no news of their own.
        for _ in gone.iter().take(if by_id { gone.len() } else { 1 }) {
            self.event("untag", &image.id, &image.id);
        }
        if last {
            removed.extend(self.delete(&image.id).await?);
            if prune {
                removed.extend(self.delete_parents(&image.parent).await?);
            }
        }
        drop(change);
        Ok(removed)
    }

    /// Removes an image, and those it was made from, as long as each is only that.
    async fn delete_parents(&self, parent: &str) -> Result<Vec<Removed>> {
        let (mut removed, mut parent) = (Vec::new(), parent.to_owned());
        loop {
            let Some(image) = self.state().images.get(&parent).cloned() else { break };
            let needed = {
                let state = self.state();
                state.has_children(&image.id) || !state.names_of(&image.id).is_empty()
            };
            if needed || !self.users(&image.id).is_empty() {
                break;
            }
            removed.extend(self.delete(&image.id).await?);
            parent.clone_from(&image.parent);
        }
        Ok(removed)
    }

    /// The containers that were made from an image.
    fn users(&self, id: &str) -> Vec<Arc<Snapshot>> {
        let mut users = self.inner.registry.snapshots();
        users.retain(|user| user.container.image_id == id);
        users
    }

    /// And those it is mounted into. As with dockerd they keep its last name, but not the image:
    /// without that, its layers are theirs for as long as they are there.
    fn using(&self, id: &str) -> Vec<Arc<Snapshot>> {
        let mut users = self.inner.registry.snapshots();
        users.retain(|user| user.container.image_id == id || user.mounts_image(id));
        users
    }

    async fn take_names(&self, names: &[Reference]) -> Result<Vec<Removed>> {
        let keys: Vec<String> = names.iter().map(Reference::canonical).collect();
        let store = self.inner.store.clone();
        let taken = keys.clone();
        blocking(move || store.commit_images(&[], &[], &taken)).await?;
        {
            let mut state = self.state_mut();
            for key in &keys {
                state.references.remove(key);
            }
        }
        Ok(names.iter().map(|name| Removed::Untagged(name.familiar())).collect())
    }

    async fn delete(&self, id: &str) -> Result<Vec<Removed>> {
        // On disk first: an image that cannot be forgotten there is still an image.
        let (store, gone) = (self.inner.store.clone(), id.to_owned());
        blocking(move || store.forget_image(&gone)).await?;
        // In one step: whoever looks for the image now does not find it, and whoever found it
        // before has pinned its layers.
        let (layers, all) = {
            let mut state = self.state_mut();
            let image = state.images.remove(id);
            let all = image.map_or_else(Vec::new, |image| image.layers.clone());
            (self.unclaimed(&mut state, &all), all)
        };
        let (store, gone, gone_id) = (self.inner.store.clone(), layers.clone(), id.to_owned());
        let chains = blocking(move || {
            store.discard_image(&gone_id, &gone)?;
            Ok(engine_store::chain_ids(&all).into_iter().zip(all).collect::<Vec<_>>())
        })
        .await?;
        self.event("delete", id, id);
        let mut removed = vec![Removed::Deleted(id.to_owned())];
        let deleted = chains.into_iter().rev().filter(|(_, layer)| layers.contains(layer));
        removed.extend(deleted.map(|(chain, _)| Removed::Deleted(chain)));
        Ok(removed)
    }
}

/// Whether the text is the image's id or the beginning of it.
fn is_id_of(id: &str, text: &str) -> bool {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    ids::is_hex(bare) && id.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(bare))
}

/// The name itself, and digests of a repository that keeps no tag.
fn untagged_with(mut asked: Reference, names: &[Reference]) -> Vec<Reference> {
    if asked.digest.is_some() {
        asked.tag = None;
        return vec![asked];
    }
    let same = |name: &&Reference| name.repository() == asked.repository();
    let tags_left =
        names.iter().filter(same).any(|name| name.tag.is_some() && name.tag != asked.tag);
    let digests = names.iter().filter(same).filter(|name| !tags_left && name.digest.is_some());
    std::iter::once(&asked).chain(digests).cloned().collect()
}

/// Whether an image has but one name; its digests beside that do not count.
fn is_single(names: &[Reference]) -> bool {
    let repositories: BTreeSet<String> = names.iter().map(Reference::repository).collect();
    let tags = names.iter().filter(|name| name.tag.is_some()).count();
    repositories.len() <= 1 && tags <= 1
}

fn check_by_name(
    asked: &str,
    id: &str,
    names: &[Reference],
    users: &[Arc<Snapshot>],
    force: bool,
) -> Result<()> {
    match users.first() {
        Some(user) if !force && is_single(names) => Err(Error::conflict(format!(
            "conflict: unable to remove repository reference {asked:?} (must force) - container \
             {} is using its referenced image {}",
            ids::short(&user.container.id),
            ids::short(id),
        ))),
        _ => Ok(()),
    }
}

fn check_childless(id: &str, has_children: bool) -> Result<()> {
    if has_children {
        return Err(Error::conflict(format!(
            "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
            ids::short(id)
        )));
    }
    Ok(())
}

fn check_by_id(id: &str, names: &[Reference], users: &[Arc<Snapshot>], force: bool) -> Result<()> {
    check_not_running(id, users)?;
    if !names.is_empty() && !is_single(names) && !force {
        return Err(Error::conflict(format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple \
             repositories",
            ids::short(id)
        )));
    }
    if force { Ok(()) } else { check_unused(id, users) }
}

fn check_not_running(id: &str, users: &[Arc<Snapshot>]) -> Result<()> {
    match users.iter().find(|user| user.is_running()) {
        Some(user) => Err(Error::conflict(format!(
            "conflict: unable to delete {} (cannot be forced) - image is being used by running \
             container {}",
            ids::short(id),
            ids::short(&user.container.id)
        ))),
        None => Ok(()),
    }
}

fn check_unused(id: &str, users: &[Arc<Snapshot>]) -> Result<()> {
    match users.first() {
        Some(user) => Err(Error::conflict(format!(
            "conflict: unable to delete {} (must be forced) - image is being used by stopped \
             container {}",
            ids::short(id),
            ids::short(&user.container.id)
        ))),
        None => Ok(()),
    }
}
