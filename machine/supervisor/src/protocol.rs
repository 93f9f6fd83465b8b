//! What commands and the supervisor say to each other, one JSON object a line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use boot::TlsIdentity;
use machine_lifecycle::driver::{DriverError, Observed, Started};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// From a starting supervisor to the command that started it. The last one is `Started` or
/// `Failed`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Report {
    Step { text: String },
    Warning { text: String },
    Started { started: Started },
    Failed { error: Failure },
}

/// To a running supervisor, over its socket.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Answered by `Observed`; QEMU is given so long to say how it is.
    Observe { within_ms: u64 },
    /// Answered by `Done` when the VM is gone, or by `Failed`.
    Stop { how: machine_lifecycle::driver::Stop },
    /// Answered by `Done` or `Failed`, and by `Working` now and then before that. Who hangs up
    /// takes it back.
    Order { order: Order },
}

impl Request {
    /// For somebody who waits so long for the answer: QEMU gets the larger part of it.
    pub(crate) fn observe_within(patience: Duration) -> Self {
        let within = patience * 3 / 5;
        Self::Observe { within_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// What a running machine shall do.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Order {
    Pause,
    Unpause,
    Suspend { state: PathBuf },
    Snapshot { state: Option<PathBuf>, disk: PathBuf },
    GrowDisk { size_mib: u64 },
    LoadIdentity { tls: TlsIdentity },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Reply {
    Observed { observed: Observed },
    Working,
    Done,
    Failed { error: Failure },
}

/// A [`DriverError`] on its way between processes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Failure {
    QemuMissing { program: String },
    QemuTooOld { found: String, needed: String },
    AccelerationUnusable { wanted: String, reason: String },
    PortTaken { port: u16 },
    NotEnoughMemory { wanted_mib: u64, available_mib: u64 },
    Busy { name: String },
    Unsupervised { name: String },
    StateMismatch { reason: String },
    Died { phase: String, reason: String, console: Vec<String> },
    Timeout { phase: String, seconds: u64, console: Vec<String> },
    System { action: String, because: String },
    Failed { text: String },
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        use DriverError as E;
        match error {
            E::QemuMissing { program } => Self::QemuMissing { program },
            E::QemuTooOld { found, needed } => Self::QemuTooOld { found, needed },
            E::AccelerationUnusable { wanted, reason } => {
                Self::AccelerationUnusable { wanted, reason }
            }
            E::PortTaken { port } => Self::PortTaken { port },
            E::NotEnoughMemory { wanted_mib, available_mib } => {
                Self::NotEnoughMemory { wanted_mib, available_mib }
            }
            E::Busy { name } => Self::Busy { name },
            E::Unsupervised { name } => Self::Unsupervised { name },
            E::StateMismatch { reason } => Self::StateMismatch { reason },
            E::Died { phase, reason, console } => Self::Died { phase, reason, console },
            E::Timeout { phase, seconds, console } => Self::Timeout { phase, seconds, console },
            E::System { action, source } => Self::System { action, because: source.to_string() },
            E::Failed(text) => Self::Failed { text },
        }
    }
}

impl From<Failure> for DriverError {
    fn from(failure: Failure) -> Self {
        use Failure as F;
        match failure {
            F::QemuMissing { program } => Self::QemuMissing { program },
            F::QemuTooOld { found, needed } => Self::QemuTooOld { found, needed },
            F::AccelerationUnusable { wanted, reason } => {
                Self::AccelerationUnusable { wanted, reason }
            }
            F::PortTaken { port } => Self::PortTaken { port },
            F::NotEnoughMemory { wanted_mib, available_mib } => {
                Self::NotEnoughMemory { wanted_mib, available_mib }
            }
            F::Busy { name } => Self::Busy { name },
            F::Unsupervised { name } => Self::Unsupervised { name },
            F::StateMismatch { reason } => Self::StateMismatch { reason },
            F::Died { phase, reason, console } => Self::Died { phase, reason, console },
            F::Timeout { phase, seconds, console } => Self::Timeout { phase, seconds, console },
            F::System { action, because } => {
                Self::System { action, source: io::Error::other(because) }
            }
            F::Failed { text } => Self::Failed(text),
        }
    }
}

/// A system call that failed while `action` was being done.
pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> DriverError {
    let action = action.into();
    move |source| DriverError::System { action, source }
}

/// No line is longer than this; a longer one is refused.
const LONGEST_LINE: u64 = 1 << 20;

/// The next line as a value; `None` at the end.
pub(crate) async fn receive<T, R>(reader: &mut R) -> io::Result<Option<T>>
where
    T: serde::de::DeserializeOwned,
    R: AsyncBufRead + Unpin,
{
    let mut line = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return if line.len() as u64 == LONGEST_LINE {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"))
        } else {
            Ok(None)
        };
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// A value as a line.
pub(crate) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_received() {
        let sent = line(&Request::observe_within(Duration::from_secs(1))).unwrap();
        let mut reader = &sent[..];
        assert_eq!(
            receive::<Request, _>(&mut reader).await.unwrap(),
            Some(Request::Observe { within_ms: 600 })
        );
        assert_eq!(receive::<Request, _>(&mut reader).await.unwrap(), None);
    }

    #[tokio::test]
    async fn half_a_line_is_no_message() {
        let mut reader = &b"{\"type\":\"observe\"}"[..];
        assert_eq!(receive::<Request, _>(&mut reader).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_endless_line_is_refused() {
        let endless = vec![b'x'; 2 << 20];
        let mut reader = &endless[..];
        receive::<Request, _>(&mut reader).await.unwrap_err();
    }

    #[test]
    fn an_error_reads_the_same_in_both_processes() {
        let errors = [
            DriverError::PortTaken { port: 80 },
            DriverError::Busy { name: "dev".to_owned() },
            DriverError::Failed("no".to_owned()),
            system("cannot do it")(io::ErrorKind::NotFound.into()),
        ];
        for error in errors {
            let said = error.to_string();
            let failure = serde_json::to_string(&Failure::from(error)).unwrap();
            let heard: Failure = serde_json::from_str(&failure).unwrap();
            assert_eq!(DriverError::from(heard).to_string(), said);
        }
    }
}
