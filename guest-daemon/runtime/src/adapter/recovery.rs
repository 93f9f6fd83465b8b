//! Taking over from an earlier daemon.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use engine::error::{Error, Result};
use engine::ports::{Process, Recovered, Runtime};

use super::NamespaceRuntime;
use crate::records::{self, ProcessRecord, Record, container_prefix, exec_prefix};
use crate::stdio::Ends;
use crate::{cgroup, start};

impl NamespaceRuntime {
    pub(super) async fn recover_all(&self) -> Result<Vec<Recovered>> {
        let lost = |error| Error::internal("cannot recover the containers", error);
        let found = records::load_all(&self.state_root).map_err(lost)?;
        let mut kept: BTreeMap<String, OwnedFd> =
            self.init.list().await.map_err(lost)?.into_iter().collect();
        let mut recovered = Vec::new();
        for record in found {
            self.records().insert(record.id.clone(), record.clone());
            // One that cannot be taken over must not stop the others; it is ended.
            let revived = self.revive(&record, &mut kept).unwrap_or_else(|error| {
                tracing::error!(
                    container = record.id,
                    error = error.with_causes(),
                    "a container cannot be taken over"
                );
                None
            });
            match revived {
                Some(container) => {
                    if record.started
                        && let Err(error) = start::give_again(&self.starts(), &record.id)
                    {
                        tracing::warn!(container = record.id, %error, "cannot start it again");
                    }
                    recovered.push(container);
                }
                // Most likely the earlier daemon died while making it, and nobody knows of it.
                None => {
                    if let Err(error) = self.delete(&record.id).await {
                        tracing::error!(container = record.id, %error, "a half made container stays");
                    }
                }
            }
        }
        // What nobody asked for belongs to nobody.
        for name in kept.into_keys().filter(|name| name.starts_with("c/") || name.starts_with("e/"))
        {
            if let Err(error) = self.init.remove(&name).await {
                tracing::warn!(name, %error, "init keeps what nobody needs");
            }
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
            paused: cgroup::is_frozen(&record.group()),
        }))
    }
}
