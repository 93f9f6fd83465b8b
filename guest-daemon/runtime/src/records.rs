//! What a later daemon must know about the containers of this one: a small file each, in a
//! directory that does not outlive the guest's boot.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use engine::ports::ProcessId;
use serde::{Deserialize, Serialize};

use crate::cgroup;

const EXTENSION: &str = "json";

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) merged: PathBuf,
    /// None while the container is being made.
    pub(crate) process: Option<ProcessRecord>,
    /// The first process was let run, or is about to be.
    pub(crate) started: bool,
    pub(crate) ulimits: Vec<(String, u64, u64)>,
    pub(crate) oom_score_adj: i32,
    /// Where its control group was asked to be; empty is the usual place.
    #[serde(default)]
    pub(crate) cgroup_parent: String,
    /// The guest's user that is the container's root, if it is not the guest's.
    #[serde(default)]
    pub(crate) first_user: Option<u32>,
    /// Its shared memory, if others may have it.
    #[serde(default)]
    pub(crate) shm: Option<PathBuf>,
    /// Where images are mounted for it.
    #[serde(default)]
    pub(crate) images: Vec<PathBuf>,
    pub(crate) execs: BTreeMap<String, ProcessRecord>,
}

/// A process and how it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    pub(crate) terminal: bool,
    pub(crate) open_stdin: bool,
}

impl Record {
    /// The directory of its control group.
    pub(crate) fn group(&self) -> PathBuf {
        cgroup::directory(&self.cgroup_parent, &self.id)
    }
}

impl ProcessRecord {
    pub(crate) fn id(&self) -> ProcessId {
        ProcessId { pid: self.pid, start_time: self.start_time }
    }

    /// The names of its descriptors, without what comes before.
    pub(crate) fn streams(&self) -> &'static [&'static str] {
        match (self.terminal, self.open_stdin) {
            (true, _) => &["tty"],
            (false, true) => &["stdin", "stdout", "stderr"],
            (false, false) => &["stdout", "stderr"],
        }
    }
}

/// Under which init keeps descriptors of a container's first process.
pub(crate) fn container_prefix(container: &str) -> String {
    format!("c/{container}/")
}

/// Under which init keeps descriptors of an exec'd process.
pub(crate) fn exec_prefix(container: &str, exec: &str) -> String {
    format!("e/{container}/{exec}/")
}

/// Writes a record so that it is there whole or not at all.
pub(crate) fn save(directory: &Path, record: &Record) -> io::Result<()> {
    let path = path(directory, &record.id);
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, serde_json::to_vec(record)?)?;
    // No fsync: the directory is memory.
    std::fs::rename(fresh, path)
}

pub(crate) fn remove(directory: &Path, container: &str) -> io::Result<()> {
    match std::fs::remove_file(path(directory, container)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All records; one that cannot be read is set aside.
pub(crate) fn load_all(directory: &Path) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(records),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        match std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
            Ok(record) => records.push(record),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a container's record is unreadable");
                if let Err(error) = std::fs::rename(&path, path.with_extension("unreadable")) {
                    tracing::error!(%error, "it stays where it is");
                }
            }
        }
    }
    Ok(records)
}

fn path(directory: &Path, container: &str) -> PathBuf {
    directory.join(container).with_extension(EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_broken_ones_are_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let process = ProcessRecord { pid: 7, start_time: 9, terminal: false, open_stdin: true };
        let record = Record {
            id: "ab".into(),
            merged: "/m".into(),
            process: Some(process),
            execs: [("e1".to_owned(), process)].into(),
            ..Record::default()
        };
        save(dir.path(), &record).unwrap();
        std::fs::write(dir.path().join("cd.json"), "{").unwrap();
        std::fs::create_dir(dir.path().join("oci")).unwrap();
        assert_eq!(load_all(dir.path()).unwrap(), [record]);
        assert_eq!(load_all(dir.path()).unwrap().len(), 1);
        assert!(dir.path().join("cd.unreadable").exists());
        remove(dir.path(), "ab").unwrap();
        remove(dir.path(), "ab").unwrap();
        assert_eq!(load_all(dir.path()).unwrap(), []);
        assert_eq!(load_all(&dir.path().join("nowhere")).unwrap(), []);
    }
}
