//! What a VM was started with: kept beside the machine as long as its memory lives on, because its
//! record and the image may change meanwhile.

use std::path::Path;

use machine_store::MachineRecord;
use machine_store::atomic::{self, Access};
use serde::{Deserialize, Serialize};

use crate::Error;

const LIMIT: u64 = 256 * 1024;

/// What a VM that runs, or whose memory is stored, was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Booted {
    /// The digest of the guest image's manifest.
    pub(crate) image: String,
    pub(crate) record: MachineRecord,
}

impl Booted {
    /// `None` where it was not written, or by another version of this program.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&atomic::read(path, LIMIT).ok()?).ok()
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        Ok(atomic::write(path, &serde_json::to_vec(self)?, Access::Owner)?)
    }

    /// Whether a VM of this record would be another one, apart from its disk.
    pub(crate) fn differs(&self, record: &MachineRecord) -> bool {
        let was = &self.record;
        was.cpus != record.cpus
            || was.memory_mib != record.memory_mib
            || was.acceleration != record.acceleration
            || was.engine != record.engine
    }
}
