//! The CA of a storage root: made when there is none, renewed in time, replaced when asked for.
//!
//! A new CA is first written as one file, key and certificate; whoever comes next after a crash
//! finishes putting it in its places. Machines follow one by one, so what it replaces is trusted
//! beside it for as long as a certificate may live that the old one has signed.

use std::path::Path;
use std::time::SystemTime;

use certs::{Authority, Description, LEAF_LIFETIME, bundle, check_authority};
use machine_store::atomic::{self, Access};
use machine_store::{Layout, Store};

use crate::Error;
use crate::identity::{PEM_LIMIT, read};

/// More CAs than this are not remembered.
const MOST_PREVIOUS: usize = 3;

/// The CA that signs, and all that are trusted.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) authority: Authority,
    /// PEM, the CA that signs first.
    pub(crate) trusted: String,
}

/// What becomes of the trust in the CA that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    Kept,
    Dropped,
}

impl Issuer {
    /// The CA of this storage root; a new one when there is none that can be used, or when a third
    /// of its life is left. One that somebody brought along is not replaced.
    pub(crate) fn of(store: &Store, now: SystemTime) -> Result<Self, Error> {
        let _lock = store.lock_authority()?;
        finish(store.layout())?;
        let Some(authority) = stored(store.layout())? else {
            return install(store.layout(), Authority::new(now)?, Old::Kept, now);
        };
        match check_authority(authority.certificate(), now) {
            Ok(validity) if !is_own(&authority) || !validity.renewal_due(now) => {
                Ok(Self::with(store.layout(), authority, now))
            }
            Err(source) if !is_own(&authority) => {
                Err(Error::Authority { path: store.layout().authority_certificate(), source })
            }
            Ok(_) | Err(_) => install(store.layout(), Authority::new(now)?, Old::Kept, now),
        }
    }

    /// A new CA. What others have signed is trusted by no machine that follows.
    pub(crate) fn replace(store: &Store, now: SystemTime) -> Result<Self, Error> {
        let _lock = store.lock_authority()?;
        finish(store.layout())?;
        install(store.layout(), Authority::new(now)?, Old::Dropped, now)
    }

    /// Makes a CA of the user's own that of this storage root. Answers whether it was not yet.
    pub(crate) fn adopt(
        store: &Store,
        certificate: &Path,
        key: &Path,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let text = |path: &Path| atomic::read(path, PEM_LIMIT);
        let authority = Authority::from_pem(&text(certificate)?, &text(key)?)?;
        check_authority(authority.certificate(), now)
            .map_err(|source| Error::Authority { path: certificate.to_owned(), source })?;
        let _lock = store.lock_authority()?;
        finish(store.layout())?;
        let old = stored(store.layout()).ok().flatten();
        if old.is_some_and(|old| old.certificate() == authority.certificate()) {
            return Ok(false);
        }
        install(store.layout(), authority, Old::Kept, now)?;
        Ok(true)
    }

    fn with(layout: &Layout, authority: Authority, now: SystemTime) -> Self {
        let previous = previous(layout, authority.certificate(), now);
        let trusted = bundle::join([authority.certificate(), &previous]);
        Self { authority, trusted }
    }
}

/// Whether the next [`Issuer::of`] changes something. Takes no lock and writes nothing.
pub(crate) fn is_due(layout: &Layout, now: SystemTime) -> bool {
    let certificate = read(&layout.authority_certificate()).unwrap_or_default();
    let usable = match (check_authority(&certificate, now), Description::of(&certificate)) {
        (Ok(validity), Ok(said)) => !said.is_own_authority || !validity.renewal_due(now),
        (Err(_), Ok(said)) => !said.is_own_authority,
        (_, Err(_)) => false,
    };
    !usable || layout.authority_next().exists()
}

fn is_own(authority: &Authority) -> bool {
    Description::of(authority.certificate()).is_ok_and(|said| said.is_own_authority)
}

fn stored(layout: &Layout) -> Result<Option<Authority>, Error> {
    let (certificate, key) = (layout.authority_certificate(), layout.authority_key());
    if !certificate.exists() || !key.exists() {
        return Ok(None);
    }
    let text = |path: &Path| atomic::read(path, PEM_LIMIT);
    Ok(Some(Authority::from_pem(&text(&certificate)?, &text(&key)?)?))
}

/// CAs that are still trusted beside the present one. All that they signed has ended when the
/// present one is as old as a certificate may become.
fn previous(layout: &Layout, present: &str, now: SystemTime) -> String {
    let began = Description::of(present).map(|said| said.validity.not_before);
    let over = began.ok().and_then(|began| began.checked_add(LEAF_LIFETIME));
    let file = read(&layout.authority_previous()).unwrap_or_default();
    let ends = |pem: &str| Description::of(pem).map(|said| said.validity.not_after);
    let kept: Vec<String> = bundle::split(&file)
        .into_iter()
        .filter(|pem| pem != present && ends(pem).is_ok_and(|end| now < end))
        .take(MOST_PREVIOUS)
        .collect();
    if over.is_some_and(|over| now < over) { kept.concat() } else { String::new() }
}

fn install(
    layout: &Layout,
    authority: Authority,
    old: Old,
    now: SystemTime,
) -> Result<Issuer, Error> {
    let path = layout.authority_previous();
    if old == Old::Kept {
        let replaced = read(&layout.authority_certificate()).unwrap_or_default();
        let earlier = previous(layout, &replaced, now);
        let all = bundle::join([replaced.as_str(), &earlier]);
        atomic::write(&path, all.as_bytes(), Access::Everyone)?;
    } else if path.exists() {
        atomic::write(&path, b"", Access::Everyone)?;
    }
    let next = format!("{}{}", authority.private_key(), authority.certificate());
    atomic::write(&layout.authority_next(), next.as_bytes(), Access::Owner)?;
    finish(layout)?;
    Ok(Issuer::with(layout, authority, now))
}

/// Puts a new CA in its places, if there is one that is not.
fn finish(layout: &Layout) -> Result<(), Error> {
    let path = layout.authority_next();
    if !path.exists() {
        return Ok(());
    }
    let next = atomic::read(&path, PEM_LIMIT)?;
    // The key stands first, and is the only one.
    let authority = Authority::from_pem(&next, &next)?;
    let key = authority.private_key();
    atomic::write(&layout.authority_key(), key.as_bytes(), Access::Owner)?;
    let certificate = authority.certificate().as_bytes();
    atomic::write(&layout.authority_certificate(), certificate, Access::Everyone)?;
    std::fs::remove_file(&path)
        .map_err(|source| machine_store::Error::Io { action: "remove", path, source }.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    }

    fn store() -> (tempfile::TempDir, Store) {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        (root, store)
    }

    #[test]
    fn a_ca_is_renewed_when_a_third_of_its_life_is_left_and_the_old_is_trusted_for_a_while() {
        let (_root, store) = store();
        let first = Issuer::of(&store, now()).unwrap();
        assert!(!is_due(store.layout(), now()));
        let same = Issuer::of(&store, now() + 2400 * DAY).unwrap();
        assert_eq!(same.trusted, first.trusted);

        let later = now() + 2450 * DAY;
        assert!(is_due(store.layout(), later));
        let second = Issuer::of(&store, later).unwrap();
        assert_eq!(bundle::split(&second.trusted).len(), 2);
        let leaf = first.authority.issue_client("dev", None, later - DAY).unwrap();
        let purpose = certs::Purpose::Client;
        assert!(certs::check(&leaf, &second.trusted, purpose, later + 395 * DAY).is_ok());
        assert!(certs::check(&leaf, &second.trusted, purpose, later + 397 * DAY).is_err());
        let after = Issuer::of(&store, later + 398 * DAY).unwrap();
        assert_eq!(after.trusted, second.authority.certificate());
    }

    #[test]
    fn a_ca_that_is_replaced_is_trusted_no_longer() {
        let (_root, store) = store();
        let first = Issuer::of(&store, now()).unwrap();
        let second = Issuer::replace(&store, now()).unwrap();
        assert_ne!(first.trusted, second.trusted);
        assert_eq!(Issuer::of(&store, now()).unwrap().trusted, second.authority.certificate());
    }

    #[test]
    fn an_interrupted_replacement_is_finished_by_whoever_comes_next() {
        let (_root, store) = store();
        let layout = store.layout();
        Issuer::of(&store, now()).unwrap();
        let new = Authority::new(now()).unwrap();
        let next = format!("{}{}", new.private_key(), new.certificate());
        atomic::write(&layout.authority_next(), next.as_bytes(), Access::Owner).unwrap();
        // Only the key has come to its place.
        atomic::write(&layout.authority_key(), new.private_key().as_bytes(), Access::Owner)
            .unwrap();
        assert!(is_due(layout, now()));
        let found = Issuer::of(&store, now()).unwrap();
        assert_eq!(found.authority.certificate(), new.certificate());
        assert!(!layout.authority_next().exists() && !is_due(layout, now()));
    }

    #[test]
    fn a_ca_of_the_users_own_is_taken_over_and_never_replaced_by_itself() {
        let (root, store) = store();
        let before = Issuer::of(&store, now()).unwrap();
        let own = Authority::new(now()).unwrap();
        let (certificate, key) = (root.path().join("own.pem"), root.path().join("own-key.pem"));
        std::fs::write(&certificate, own.certificate()).unwrap();
        std::fs::write(&key, own.private_key()).unwrap();
        assert!(Issuer::adopt(&store, &certificate, &key, now()).unwrap());
        assert!(!Issuer::adopt(&store, &certificate, &key, now()).unwrap());
        let issuer = Issuer::of(&store, now()).unwrap();
        assert_eq!(issuer.authority.certificate(), own.certificate());
        assert!(issuer.trusted.contains(before.authority.certificate()));

        let leaf = own.issue_client("dev", None, now()).unwrap();
        std::fs::write(&certificate, &leaf.certificate).unwrap();
        std::fs::write(&key, &leaf.private_key).unwrap();
        let refused = Issuer::adopt(&store, &certificate, &key, now());
        assert!(matches!(refused, Err(Error::Authority { .. })));
    }
}
