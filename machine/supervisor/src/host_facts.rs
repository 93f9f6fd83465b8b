//! What was found out about this host, so that it is not found out anew at every start: which
//! QEMU there is, and which accelerator cannot run a guest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use machine_qemu::probe::{self, Found, ProbeError};
use machine_qemu::spec::Accelerator;
use machine_store::atomic::{self, Access};
use serde::{Deserialize, Serialize};

use crate::journal::note;

#[derive(Debug)]
pub(crate) struct HostFacts {
    path: PathBuf,
    known: Known,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    qemu: Option<KnownQemu>,
    /// By the accelerator's name.
    unusable: BTreeMap<String, Unusable>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KnownQemu {
    identity: String,
    found: Found,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unusable {
    /// Of which circumstances it is true.
    circumstances: String,
    reason: String,
}

impl HostFacts {
    /// Reads what is known; a file that is missing or not understood knows nothing.
    pub(crate) fn read(path: &Path) -> Self {
        let known = std::fs::read(path)
            .ok()
            .and_then(|content| serde_json::from_slice(&content).ok())
            .unwrap_or_default();
        Self { path: path.to_owned(), known }
    }

    /// What this QEMU can do; asks it only if it is another one than the last time.
    pub(crate) async fn qemu(&mut self, program: &Path) -> Result<Found, ProbeError> {
        let identity = probe::identity(program);
        if let (Some(known), Some(identity)) = (&self.known.qemu, &identity)
            && known.identity == *identity
            && known.found.program == program
        {
            return Ok(known.found.clone());
        }
        let found = probe::probe(program).await?;
        self.known.qemu = identity.map(|identity| KnownQemu { identity, found: found.clone() });
        self.write();
        Ok(found)
    }

    /// Why an accelerator did not work in these circumstances.
    pub(crate) fn unusable(&self, accelerator: Accelerator, circumstances: &str) -> Option<&str> {
        let unusable = self.known.unusable.get(name(accelerator))?;
        (unusable.circumstances == circumstances).then_some(unusable.reason.as_str())
    }

    pub(crate) fn set_unusable(
        &mut self,
        accelerator: Accelerator,
        circumstances: &str,
        reason: &str,
    ) {
        let unusable =
            Unusable { circumstances: circumstances.to_owned(), reason: reason.to_owned() };
        self.known.unusable.insert(name(accelerator).to_owned(), unusable);
        self.write();
    }

    fn write(&self) {
        let written = serde_json::to_vec_pretty(&self.known)
            .map_err(|error| error.to_string())
            .and_then(|content| {
                atomic::write(&self.path, &content, Access::Owner)
                    .map_err(|error| error.to_string())
            });
        // Then it is found out again the next time.
        if let Err(error) = written {
            note(format_args!("host facts were not remembered: {error}"));
        }
    }
}

/// What an accelerator depends on: a new kernel, a reboot (the firmware's settings may have
/// changed) or another QEMU is a new chance for it.
pub(crate) fn circumstances(qemu: &Found) -> String {
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{kernel} {} QEMU {}", boot.trim(), qemu.version)
}

fn name(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "kvm",
        Accelerator::Hvf => "hvf",
        Accelerator::Tcg => "tcg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_remembered_until_circumstances_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host.json");
        HostFacts::read(&path).set_unusable(Accelerator::Kvm, "kernel 1", "internal error");
        let facts = HostFacts::read(&path);
        assert_eq!(facts.unusable(Accelerator::Kvm, "kernel 1"), Some("internal error"));
        assert_eq!(facts.unusable(Accelerator::Kvm, "kernel 2"), None);
        assert_eq!(facts.unusable(Accelerator::Hvf, "kernel 1"), None);
    }

    #[test]
    fn a_damaged_file_knows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("host.json");
        for content in ["", "{", "[]", "{\"unusable\": 3}"] {
            std::fs::write(&path, content).unwrap();
            let facts = HostFacts::read(&path);
            assert_eq!(facts.unusable(Accelerator::Kvm, ""), None);
        }
    }
}
