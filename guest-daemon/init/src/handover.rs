//! What init passes on to the daemon: the boot contract and when the boot's steps happened.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use boot::{BootContract, CONTRACT_VERSION, TlsIdentity};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// In a directory of root's alone: it holds private keys.
const PATH: &str = "/run/machine/boot.json";

/// Exists once the machine is about to end.
const ENDING_PATH: &str = "/run/machine/ending";

/// No contract is larger.
const CONTRACT_BYTES: u64 = 1024 * 1024;

/// The contract, and the moments only init knows, in microseconds of the monotonic clock.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handover {
    pub contract: BootContract,
    pub init_start: u64,
    pub disk_mounted: u64,
}

/// Why there is no contract that this guest can follow.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error("the host handed over no boot contract")]
    Missing(#[source] io::Error),
    #[error("the boot contract is larger than {CONTRACT_BYTES} bytes")]
    TooLarge,
    #[error("the boot contract has version {0}, this guest speaks {CONTRACT_VERSION}")]
    Version(u32),
    #[error("the boot contract cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// Reads what init wrote.
pub fn read() -> io::Result<Handover> {
    Ok(serde_json::from_slice(&fs::read(PATH)?)?)
}

/// Whether a daemon that is asked to end is to end its containers too, because the machine ends.
/// Otherwise they go on, for the next daemon to take over.
pub fn machine_ends() -> bool {
    Path::new(ENDING_PATH).exists()
}

pub(crate) fn announce_ending() -> io::Result<()> {
    fs::write(ENDING_PATH, "")
}

/// Microseconds of the monotonic clock.
pub fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1000
}

pub(crate) fn write(handover: &Handover) -> io::Result<()> {
    crate::mounts::create_directory("/run/machine", 0o700)?;
    replace(Path::new(PATH), handover)
}

/// Lets daemons that start from now on have this identity. The machine's next boot gets it from
/// the host.
pub fn remember_identity(identity: &TlsIdentity) -> io::Result<()> {
    remember_identity_in(Path::new(PATH), identity)
}

fn remember_identity_in(path: &Path, identity: &TlsIdentity) -> io::Result<()> {
    let mut handover: Handover = serde_json::from_slice(&fs::read(path)?)?;
    handover.contract.tls = identity.clone();
    replace(path, &handover)
}

/// In memory, so there is nothing to flush; a daemon that dies meanwhile leaves the old one.
fn replace(path: &Path, handover: &Handover) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(handover)?)?;
    fs::rename(&new, path)
}

/// Reads the contract from where QEMU shows it.
pub(crate) fn read_contract(path: &Path) -> Result<BootContract, ContractError> {
    let file = fs::File::open(path).map_err(ContractError::Missing)?;
    let mut bytes = Vec::new();
    let limited = file.take(CONTRACT_BYTES + 1).read_to_end(&mut bytes);
    let length = limited.map_err(ContractError::Missing)?;
    if length as u64 > CONTRACT_BYTES {
        return Err(ContractError::TooLarge);
    }
    parse_contract(&bytes)
}

/// The version is looked at first: of another version nothing else is known.
fn parse_contract(bytes: &[u8]) -> Result<BootContract, ContractError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(bytes).map_err(ContractError::Unreadable)?;
    if version != CONTRACT_VERSION {
        return Err(ContractError::Version(version));
    }
    serde_json::from_slice(bytes).map_err(ContractError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_of_another_version_is_refused_whatever_else_it_says() {
        let error = parse_contract(br#"{"version": 99, "new": []}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the boot contract has version 99, this guest speaks {CONTRACT_VERSION}")
        );
    }

    #[test]
    fn a_contract_that_is_no_json_is_refused() {
        assert!(matches!(parse_contract(b""), Err(ContractError::Unreadable(_))));
        let incomplete = format!(r#"{{"version": {CONTRACT_VERSION}}}"#);
        assert!(matches!(parse_contract(incomplete.as_bytes()), Err(ContractError::Unreadable(_))));
    }

    #[test]
    fn the_next_daemon_reads_the_newest_identity_and_nobody_else_does() {
        use std::os::unix::fs::PermissionsExt as _;

        let identity = |name: &str| TlsIdentity {
            ca_certificate: "ca".to_owned(),
            certificate: name.to_owned(),
            private_key: "key".to_owned(),
        };
        let ssh = boot::SshIdentity { host_key: "host".to_owned(), authorized_keys: Vec::new() };
        let contract = BootContract {
            version: CONTRACT_VERSION,
            machine: "dev".to_owned(),
            id: "1-2-3-4-5".to_owned(),
            tls: identity("old"),
            ssh,
            engine: boot::EngineOptions::default(),
        };
        let path = std::env::temp_dir().join(format!("handover-{}.json", std::process::id()));
        replace(&path, &Handover { contract, init_start: 1, disk_mounted: 2 }).unwrap();
        // A daemon was killed while it wrote.
        fs::write(path.with_extension("new"), "half").unwrap();
        remember_identity_in(&path, &identity("new")).unwrap();
        let read: Handover = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.contract.tls.certificate, "new");
        assert_eq!(read.contract.ssh.host_key, "host");
        assert_eq!((read.init_start, read.disk_mounted), (1, 2));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_contract_that_is_not_there_is_missing() {
        let error = read_contract(Path::new("/nonexistent")).unwrap_err();
        assert!(matches!(error, ContractError::Missing(_)));
    }
}
