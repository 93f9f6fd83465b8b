//! Volumes that are file systems of their own: mounted for the first who uses one, unmounted after
//! the last.
//!
//! **Invariant:** a server that does not answer holds up those who use its volume and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Volumes, options};
use crate::error::{Error, Kind, Result};
use crate::ports::VolumeMount;

/// Who uses each of them.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<BTreeMap<String, Use>>);

/// Of one volume. It is in the table as long as it has users or somebody waits for a turn.
#[derive(Debug, Default)]
struct Use {
    /// Held while it is being mounted or unmounted.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How many hold the turn or wait for it.
    takers: usize,
    users: BTreeSet<String>,
}

/// Somebody who mounts or unmounts, and is counted, so that nobody who comes meanwhile makes a
/// second turn for the same volume.
struct Taker<'a> {
    uses: &'a Uses,
    name: &'a str,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        let mut all = self.uses.all();
        let Some(it) = all.get_mut(self.name) else { return };
        it.takers -= 1;
        if it.takers == 0 && it.users.is_empty() {
            all.remove(self.name);
        }
    }
}

impl Uses {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taker<'a>(&'a self, name: &'a str) -> Taker<'a> {
        let mut all = self.all();
        let it = all.entry(name.to_owned()).or_default();
        it.takers += 1;
        Taker { uses: self, name, turn: Arc::clone(&it.turn) }
    }

    /// Whether they are the first.
    fn enter(&self, name: &str, user: &str) -> bool {
        let mut all = self.all();
        let users = &mut all.entry(name.to_owned()).or_default().users;
        let first = users.is_empty();
        users.insert(user.to_owned());
        first
    }

    /// Whether they were the last.
    fn leave(&self, name: &str, user: &str) -> bool {
        let mut all = self.all();
        all.get_mut(name).is_some_and(|it| it.users.remove(user) && it.users.is_empty())
    }

    fn of(&self, user: &str) -> Vec<String> {
        let all = self.all();
        let used = all.iter().filter(|(_, it)| it.users.contains(user));
        used.map(|(name, _)| name.clone()).collect()
    }

    fn is_used(&self, name: &str) -> bool {
        self.all().get(name).is_some_and(|it| !it.users.is_empty())
    }
}

impl Volumes {
    /// Mounts it for somebody who uses it, until [`Volumes::let_go`].
    pub(crate) async fn mount(&self, name: &str, user: &str) -> Result<()> {
        let Some(mount) = self.mount_of(name) else { return Ok(()) };
        let taker = self.inner.uses.taker(name);
        let _held = taker.turn.lock().await;
        if !self.inner.uses.enter(name, user) {
            return Ok(());
        }
        let path = mount.path.to_string_lossy().into_owned();
        self.inner.runtime.mount_volume(mount).await.map_err(|error| {
            self.inner.uses.leave(name, user);
            let text = format!("error while mounting volume '{path}': {}", error.with_causes());
            Error::new(Kind::Internal, text)
        })
    }

    /// Who used volumes uses none any more.
    pub(crate) async fn let_go(&self, user: &str) {
        for name in self.inner.uses.of(user) {
            let taker = self.inner.uses.taker(&name);
            let _held = taker.turn.lock().await;
            if self.inner.uses.leave(&name, user) {
                self.unmount_or_warn(&name).await;
            }
        }
    }

    /// An earlier daemon mounted volumes: these are still used, by whom comes with each.
    pub(crate) async fn take_over(&self, used: Vec<(String, String)>) {
        for (name, user) in used.iter().filter(|(name, _)| self.is_mounted_when_used(name)) {
            self.inner.uses.enter(name, user);
        }
        let all: Vec<String> = self.read().keys().cloned().collect();
        for name in all.iter().filter(|name| !self.inner.uses.is_used(name)) {
            self.unmount_or_warn(name).await;
        }
    }

    pub(super) fn is_mounted_when_used(&self, name: &str) -> bool {
        self.mount_of(name).is_some()
    }

    pub(super) async fn unmount(&self, name: &str) -> Result<()> {
        match self.mount_of(name) {
            Some(mount) => self.inner.runtime.unmount_volume(&mount.path).await,
            None => Ok(()),
        }
    }

    async fn unmount_or_warn(&self, name: &str) {
        if let Err(error) = self.unmount(name).await {
            tracing::warn!(volume = name, error = error.with_causes(), "it stays mounted");
        }
    }

    fn mount_of(&self, name: &str) -> Option<VolumeMount> {
        let all = self.read();
        options::mount(&all.get(name)?.options, self.inner.store.layout().volume_data(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(uses: &Uses) -> Vec<String> {
        uses.all().keys().cloned().collect()
    }

    #[test]
    fn what_nobody_uses_any_more_is_forgotten() {
        let uses = Uses::default();
        let taker = uses.taker("data");
        assert!(uses.enter("data", "one"));
        assert!(!uses.enter("data", "two"));
        drop(taker);
        for (user, last) in [("one", false), ("two", true)] {
            let taker = uses.taker("data");
            assert_eq!(uses.leave("data", user), last);
            drop(taker);
        }
        assert_eq!(known(&uses), Vec::<String>::new());
        assert!(!uses.leave("data", "one"), "who is gone does not come back");
    }

    #[tokio::test]
    async fn who_waits_behind_the_last_user_keeps_the_turn() {
        let uses = Uses::default();
        let leaving = uses.taker("data");
        let held = leaving.turn.lock().await;
        uses.enter("data", "one");
        let waiting = uses.taker("data");
        assert!(uses.leave("data", "one"));
        drop(held);
        drop(leaving);
        let third = uses.taker("data");
        let held = waiting.turn.lock().await;
        assert!(third.turn.try_lock().is_err(), "both wait for the same turn");
        drop(held);
        // Who gives up while they wait leaves nothing behind either.
        drop(waiting);
        assert_eq!(known(&uses), ["data"]);
        drop(third);
        assert_eq!(known(&uses), Vec::<String>::new());
    }
}
