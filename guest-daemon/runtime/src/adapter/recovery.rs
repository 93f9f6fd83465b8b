//! Taking over from an earlier daemon.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use engine::error::{Error, Result};
use engine::ports::{Process, Recovered, Runtime};

use super::LibcontainerRuntime;
use crate::beneath;
use crate::records::{self, ProcessRecord, Record, container_prefix, exec_prefix};
use crate::stdio::Ends;

impl LibcontainerRuntime {
    pub(super) async fn recover_all(&self) -> Result<Vec<Recovered>> {
        let lost = |error| Error::internal("cannot recover the containers", error);
        let found = records::load_all(&self.state_root).map_err(lost)?;
        let mut kept: BTreeMap<String, OwnedFd> =
            self.init.list().await.map_err(lost)?.into_iter().collect();
        let mut recovered = Vec::new();
        for record in found {
            self.records().insert(record.id.clone(), record.clone());
            match self.revive(&record, &mut kept)? {
                Some(container) => {
                    let directory = self.libcontainer_root().join(&record.id);
                    if record.started
                        && let Err(error) = notify_again(&directory)
                    {
                        tracing::warn!(container = record.id, %error, "cannot start it again");
                    }
                    recovered.push(container);
                }
                // The earlier daemon died while making it; nobody knows of it.
                None => self.delete(&record.id).await?,
            }
        }
        // What nobody asked for belongs to nobody.
        for name in kept.into_keys().filter(|name| name.starts_with("c/") || name.starts_with("e/"))
        {
            self.init.remove(&name).await.map_err(lost)?;
        }
        Ok(recovered)
    }

    /// A container of an earlier daemon, if it was finished.
    fn revive(
        &self,
        record: &Record,
        kept: &mut BTreeMap<String, OwnedFd>,
    ) -> Result<Option<Recovered>> {
        let Some(process) = &record.process else { return Ok(None) };
        let mut open = |process: &ProcessRecord, prefix: &str| -> Result<Process> {
            let ends =
                Ends::find(process.streams(), |name| kept.remove(&format!("{prefix}{name}")));
            let io = ends
                .open(&self.init, prefix)
                .map_err(|error| Error::internal("cannot open the process's streams", error))?;
            Ok(Process { id: process.id(), io })
        };
        let first = open(process, &container_prefix(&record.id))?;
        let mut execs = Vec::new();
        for (exec, process) in &record.execs {
            execs.push((exec.clone(), open(process, &exec_prefix(&record.id, exec))?));
        }
        Ok(Some(Recovered {
            container: record.id.clone(),
            process: first,
            execs,
            started: record.started,
        }))
    }
}

/// Tells a container that waits for its start to run.
pub(super) fn notify(directory: &Path) -> io::Result<()> {
    // By way of a descriptor, because the path may be longer than a socket's may be.
    let directory = beneath::open_root(directory)?;
    let path = format!("/proc/self/fd/{}/notify.sock", directory.as_raw_fd());
    io::Write::write_all(&mut UnixStream::connect(path)?, b"start container")
}

/// As [`notify`], for a container that most likely runs already and does not listen any more.
fn notify_again(directory: &Path) -> io::Result<()> {
    match notify(directory) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::BrokenPipe
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}
