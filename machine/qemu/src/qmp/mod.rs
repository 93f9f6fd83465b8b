//! QEMU's control protocol. Commands and answers are `qapi`'s types; the stream is ours, because
//! QEMU grows new events with every release and a stranger among them must not end it.

mod connection;
mod event;
mod migration;
#[cfg(test)]
mod tests;

pub use connection::{Qmp, QmpError};
pub use event::Event;
pub use migration::Migration;
pub use qapi::qmp::RunState;

use qapi::qmp;

use crate::arguments::{DISK_NODE, NETWORK_ID};

/// Which protocol a forward carries, as QEMU writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Qmp {
    /// What the VM does now.
    pub async fn status(&self) -> Result<RunState, QmpError> {
        Ok(self.execute(qmp::query_status {}).await?.status)
    }

    /// Lets the vCPUs stand still; what the guest has written is in the disk's file then.
    pub async fn stop(&self) -> Result<(), QmpError> {
        self.execute(qmp::stop {}).await.map(drop)
    }

    /// Lets the vCPUs run.
    pub async fn resume(&self) -> Result<(), QmpError> {
        self.execute(qmp::cont {}).await.map(drop)
    }

    /// Presses the power button.
    pub async fn power_down(&self) -> Result<(), QmpError> {
        self.execute(qmp::system_powerdown {}).await.map(drop)
    }

    /// Ends QEMU; what it has cached is written first.
    pub async fn quit(&self) -> Result<(), QmpError> {
        match self.execute(qmp::quit {}).await {
            // It may be gone before its answer is read.
            Ok(_) | Err(QmpError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Grows the data disk.
    pub async fn resize_disk(&self, bytes: u64) -> Result<(), QmpError> {
        let size = i64::try_from(bytes).unwrap_or(i64::MAX);
        let node_name = Some(DISK_NODE.to_owned());
        self.execute(qmp::block_resize { device: None, node_name, size }).await.map(drop)
    }

    /// Whether a guest that restarts is started again, or QEMU ends.
    pub async fn set_reboot(&self, reboot: Reboot) -> Result<(), QmpError> {
        let reboot = Some(match reboot {
            Reboot::Restarts => qmp::RebootAction::reset,
            Reboot::Ends => qmp::RebootAction::shutdown,
        });
        let command = qmp::set_action { panic: None, reboot, shutdown: None, watchdog: None };
        self.execute(command).await.map(drop)
    }

    /// Forwards `127.0.0.1:host` to the guest's port `guest`.
    pub async fn add_forward(
        &self,
        transport: Transport,
        host: u16,
        guest: u16,
    ) -> Result<(), QmpError> {
        let transport = transport.name();
        let command = format!("hostfwd_add {NETWORK_ID} {transport}:127.0.0.1:{host}-:{guest}");
        // The answer of a human command is text; this one says nothing when it has worked.
        match self.human(command).await?.trim() {
            "" => Ok(()),
            complaint => Err(QmpError::Refused(complaint.to_owned())),
        }
    }

    /// Ends a forward; connections through it go on until one side closes them.
    pub async fn remove_forward(&self, transport: Transport, host: u16) -> Result<(), QmpError> {
        let transport = transport.name();
        let command = format!("hostfwd_remove {NETWORK_ID} {transport}:127.0.0.1:{host}");
        let answer = self.human(command).await?;
        if answer.trim().ends_with("removed") {
            Ok(())
        } else {
            Err(QmpError::Refused(answer.trim().to_owned()))
        }
    }

    /// The forwards that QEMU has now, as (transport, host port, guest port).
    pub async fn forwards(&self) -> Result<Vec<(Transport, u16, u16)>, QmpError> {
        Ok(parse_forwards(&self.human("info usernet".to_owned()).await?))
    }

    async fn human(&self, command_line: String) -> Result<String, QmpError> {
        self.execute(qmp::human_monitor_command { cpu_index: None, command_line }).await
    }
}

/// What a restart of the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reboot {
    Restarts,
    Ends,
}

/// Reads the table of `info usernet`: `TCP[HOST_FORWARD] 13 127.0.0.1 8080 10.0.2.15 80 0 0`.
fn parse_forwards(table: &str) -> Vec<(Transport, u16, u16)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let transport = match words.next()? {
            "TCP[HOST_FORWARD]" => Transport::Tcp,
            "UDP[HOST_FORWARD]" => Transport::Udp,
            _ => return None,
        };
        let host = words.nth(2)?.parse().ok()?;
        let guest = words.nth(1)?.parse().ok()?;
        Some((transport, host, guest))
    };
    table.lines().filter_map(line).collect()
}
