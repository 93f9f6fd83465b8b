//! What a machine is: names, specs, states, and one file for each thing one can do with it.
//!
//! **Invariants:** prints nothing, spawns nothing, knows no hypervisor. What a machine *is* lies in
//! the store; what it *does* is asked of the [`Driver`](driver::Driver) each time.

mod authority;
mod boot;
mod booted;
mod capacity;
mod certificates;
mod config;
mod connect;
mod copy;
mod create;
pub mod driver;
mod elsewhere;
mod engine_options;
mod error;
mod identity;
mod inspect;
mod list;
mod name;
mod pause;
mod remove;
mod restart;
mod set;
mod snapshot;
mod spec;
mod start;
mod state;
mod stop;
mod transfer;
mod upgrade;

pub use capacity::Capacity;
pub use certificates::{CertificateInfo, CertificateUse, Freshness, Regenerate, Role};
pub use config::{ConfigError, InvalidSize, MachineConfig, Size};
pub use connect::{Connection, SshTarget};
pub use create::Created;
pub use error::{Error, Kind};
pub use inspect::Inspection;
pub use list::Listed;
pub use name::MachineName;
pub use remove::Force;
pub use set::{Change, Changed};
pub use snapshot::Snapshot;
pub use spec::{DriverKind, InvalidSpec, MachineSpec};
pub use start::StartOptions;
pub use state::State;
pub use transfer::{Destination, Malformed, TransferError, UnfitDisk};

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use driver::{Driver, DriverError, MachineFiles};
use machine_store::{Lock, Presence, Store};
use vm_images::{Image, Location, Verified};

/// How long a machine may take to answer a command that is about it alone: long enough for a host
/// that is busy with twenty others, so that only what hangs is called hung.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address on which every machine is reached.
pub const ADDRESS: &str = "127.0.0.1";

/// All machines of one storage root.
pub struct Machines {
    store: Store,
    driver: Arc<dyn Driver>,
    images: Location,
    capacity: fn(&Store) -> Capacity,
    clock: fn() -> SystemTime,
}

/// Whether something was done, or was so already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    Done(T),
    AlreadyDone,
}

/// The guest image of this version of the program.
#[derive(Debug)]
struct BootImage {
    files: Verified,
    /// Names it among others.
    digest: String,
}

impl Machines {
    pub fn new(store: Store, driver: Arc<dyn Driver>, images: Location) -> Self {
        Self { store, driver, images, capacity: Capacity::of_host, clock: SystemTime::now }
    }

    /// With another host than this one, for tests.
    pub fn with_capacity(self, capacity: fn(&Store) -> Capacity) -> Self {
        Self { capacity, ..self }
    }

    /// At another time than now, for tests.
    pub fn with_clock(self, clock: fn() -> SystemTime) -> Self {
        Self { clock, ..self }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether there is a machine of this name, finished or not.
    pub fn exists(&self, name: &MachineName) -> bool {
        self.store.presence(name.as_str()) != Presence::Absent
    }

    fn lock(&self, name: &MachineName) -> Result<Lock, Error> {
        self.store.lock(name.as_str()).map_err(|source| match source {
            machine_store::Error::Locked { .. } => Error::Busy { name: name.clone() },
            other => other.into(),
        })
    }

    /// The lock of a machine that exists and can be used.
    fn lock_complete(&self, name: &MachineName) -> Result<Lock, Error> {
        self.require(name)?;
        let lock = self.lock(name)?;
        // It may have gone, or have been given up half-made, before the lock was taken.
        match self.store.presence(name.as_str()) {
            Presence::Complete => {
                self.store.settle(&lock, name.as_str())?;
                Ok(lock)
            }
            Presence::Unfinished => Err(Error::Unfinished { name: name.clone() }),
            Presence::Absent => {
                lock.remove();
                Err(Error::NotFound { name: name.clone() })
            }
        }
    }

    fn require(&self, name: &MachineName) -> Result<(), Error> {
        if self.exists(name) { Ok(()) } else { Err(Error::NotFound { name: name.clone() }) }
    }

    fn files(&self, name: &MachineName) -> MachineFiles {
        MachineFiles {
            name: name.to_string(),
            directory: self.store.paths(name.as_str()).directory().to_owned(),
        }
    }

    async fn state(&self, name: &MachineName) -> Result<State, Error> {
        self.state_within(name, PATIENCE).await
    }

    async fn state_within(&self, name: &MachineName, patience: Duration) -> Result<State, Error> {
        // What somebody else's host does cannot be seen from here.
        if self.is_elsewhere(name) {
            return Ok(State::Running);
        }
        let observed = self.driver.observe(&self.files(name), patience).await;
        let state = observed.map_err(|source| self.failed(name, "observed", source))?.into();
        let is_saved = || self.store.paths(name.as_str()).is_saved();
        Ok(if state == State::Stopped && is_saved() { State::Saved } else { state })
    }

    fn failed(&self, name: &MachineName, action: &'static str, source: DriverError) -> Error {
        Error::Driver { name: name.clone(), action, source }
    }

    fn image(&self) -> Result<BootImage, Error> {
        let image = Image::open(&self.images.find()?)?;
        let files = image.verify(&self.store.layout().image_cache())?;
        Ok(BootImage { files, digest: image.digest().to_owned() })
    }

    /// Which image there is; its files are not looked at.
    fn image_digest(&self) -> Result<String, Error> {
        Ok(Image::open(&self.images.find()?)?.digest().to_owned())
    }
}

impl std::fmt::Debug for Machines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machines").field("store", &self.store).finish_non_exhaustive()
    }
}
