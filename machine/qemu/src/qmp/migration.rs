//! A VM's memory and devices as a stream: out of one QEMU, into another one.
//!
//! QEMU connects to, or listens on, a unix socket: its sandbox lets it start no other program.

use qapi::qmp::{self, QmpCommand};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Qmp, QmpError};

/// Bytes a second; as good as no limit. The default is made for networks.
const BANDWIDTH: u64 = 1 << 40;

/// A stream that is under way. Dropping it does not end it.
#[derive(Debug)]
pub struct Migration<'a> {
    qmp: &'a Qmp,
    states: watch::Receiver<String>,
}

impl Qmp {
    /// Begins to send memory and devices to a listening socket. The vCPUs should stand still. Once
    /// it has finished QEMU has given up its disks, until [`Qmp::resume`].
    pub async fn save(&self, socket: &str) -> Result<Migration<'_>, QmpError> {
        let migration = self.migration().await?;
        let uri = Some(format!("unix:{socket}"));
        let command = qmp::migrate { uri, channels: None, detach: None, resume: None };
        self.execute(command).await?;
        Ok(migration)
    }

    /// Begins to listen for what [`Qmp::save`] has sent; for a QEMU that was started for that. If
    /// it does not fit, QEMU ends.
    pub async fn load(&self, socket: &str) -> Result<Migration<'_>, QmpError> {
        let migration = self.migration().await?;
        let uri = Some(format!("unix:{socket}"));
        let command = qmp::migrate_incoming { uri, channels: None, exit_on_error: None };
        self.execute(command).await?;
        Ok(migration)
    }

    /// Ends a [`Qmp::save`] that is under way, if there is one, and returns when it has ended.
    pub async fn cancel_save(&self) -> Result<(), QmpError> {
        let mut states = self.migration_states();
        let ends = |state: &str| matches!(state, "completed" | "failed" | "cancelled");
        let now = self.execute(QueryMigrate {}).await?.status;
        // An empty answer means that there never was one.
        if now.is_none_or(|now| ends(&now)) {
            return Ok(());
        }
        self.execute(qmp::migrate_cancel {}).await?;
        states.wait_for(|state| ends(state)).await.map(drop).map_err(|_| QmpError::Closed)
    }

    async fn migration(&self) -> Result<Migration<'_>, QmpError> {
        let capability = Capability { capability: "events", state: true };
        self.execute(SetCapabilities { capabilities: [capability] }).await?;
        self.execute(SetParameters { max_bandwidth: BANDWIDTH }).await?;
        Ok(Migration { qmp: self, states: self.migration_states() })
    }
}

impl Migration<'_> {
    /// Waits until all of it has been sent, or loaded.
    pub async fn finished(mut self) -> Result<(), QmpError> {
        loop {
            self.states.changed().await.map_err(|_| QmpError::Closed)?;
            let state = self.states.borrow_and_update().clone();
            match state.as_str() {
                "completed" => return Ok(()),
                "cancelled" => return Err(QmpError::Refused("it was cancelled".to_owned())),
                "failed" => {
                    let reason = self.qmp.execute(QueryMigrate {}).await?.error_desc;
                    let reason = reason.unwrap_or_else(|| "no reason was given".to_owned());
                    return Err(QmpError::Refused(reason));
                }
                _ => {}
            }
        }
    }
}

// `qapi`'s own types of these hold a hundred more fields, of which every release of QEMU changes
// some.

#[derive(Debug, Serialize)]
struct QueryMigrate {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MigrationInfo {
    status: Option<String>,
    error_desc: Option<String>,
}

impl QmpCommand for QueryMigrate {}
impl qapi::Command for QueryMigrate {
    const NAME: &'static str = "query-migrate";
    const ALLOW_OOB: bool = false;
    type Ok = MigrationInfo;
}

#[derive(Debug, Serialize)]
struct SetCapabilities {
    capabilities: [Capability; 1],
}

#[derive(Debug, Serialize)]
struct Capability {
    capability: &'static str,
    state: bool,
}

impl QmpCommand for SetCapabilities {}
impl qapi::Command for SetCapabilities {
    const NAME: &'static str = "migrate-set-capabilities";
    const ALLOW_OOB: bool = false;
    type Ok = qapi::Empty;
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct SetParameters {
    max_bandwidth: u64,
}

impl QmpCommand for SetParameters {}
impl qapi::Command for SetParameters {
    const NAME: &'static str = "migrate-set-parameters";
    const ALLOW_OOB: bool = false;
    type Ok = qapi::Empty;
}
