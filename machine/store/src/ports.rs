//! Which ports on 127.0.0.1 lead to which machine.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};

use serde::{Deserialize, Serialize};

use crate::layout::MachinePaths;
use crate::{Error, Layout, record};

/// Below the ports that systems hand out to clients (from 32768 on Linux, 49152 on macOS).
const FIRST_API: u16 = 23_000;
const FIRST_SSH: u16 = 24_000;
const COUNT: u16 = 1000;

/// Ports on 127.0.0.1 that belong to one machine for its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    pub api: u16,
    pub ssh: u16,
}

impl Ports {
    /// Whether there are none: a machine without a VM has no ports here.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Finds a pair that no machine has and nobody listens on. The caller holds the ports' lock until
/// the pair is stored.
pub(crate) fn choose(layout: &Layout) -> Result<Ports, Error> {
    let taken = taken(layout)?;
    let start = start(layout);
    (0..COUNT)
        .map(|step| (start + step) % COUNT)
        .map(|offset| Ports { api: FIRST_API + offset, ssh: FIRST_SSH + offset })
        .find(|pair| {
            [pair.api, pair.ssh].iter().all(|port| !taken.contains(port) && is_free(*port))
        })
        .ok_or(Error::NoPort { first: FIRST_API, last: FIRST_SSH + COUNT - 1 })
}

/// Stores do not know of each other's stopped machines; beginning at different places keeps them
/// from choosing the same ports.
fn start(layout: &Layout) -> u16 {
    let root = layout.root().as_os_str().as_encoded_bytes();
    let hash =
        root.iter().fold(0_u32, |hash, byte| hash.wrapping_mul(16_777_619) ^ u32::from(*byte));
    u16::try_from(hash % u32::from(COUNT)).unwrap_or_default()
}

/// What all machines have, those that are just being put together too.
fn taken(layout: &Layout) -> Result<HashSet<u16>, Error> {
    let directory = layout.machines();
    let io = |source| Error::Io { action: "list", path: directory.clone(), source };
    let mut taken = HashSet::new();
    for entry in std::fs::read_dir(&directory).map_err(io)? {
        let paths = MachinePaths::of(entry.map_err(io)?.path());
        // A broken record is reported where its machine is used.
        if let Ok(record) = record::read(&paths.record()) {
            taken.extend([record.ports.api, record.ports.ssh]);
        }
    }
    Ok(taken)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
