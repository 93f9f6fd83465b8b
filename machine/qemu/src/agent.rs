//! The QEMU guest agent protocol, spoken to the guest over a virtio-serial port.

use std::io;
use std::time::Duration;

use qapi::qga::{self, QgaCommand};
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::lines;

/// The byte that tells an agent to forget what it has read, and that comes before its answer to
/// `guest-sync-delimited`.
const SENTINEL: u8 = 0xff;

/// Why the guest did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// In the agent's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the guest does not answer")]
    Silent,
    #[error("the guest's answer was not understood")]
    Malformed(#[source] serde_json::Error),
    #[error("the guest agent's socket failed")]
    Io(#[from] io::Error),
}

/// What `guest-shutdown` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    PowerDown,
    /// For boards that cannot be powered off by their guest; QEMU ends at the restart.
    Restart,
}

/// A connection to the guest agent. There is no telling what an earlier user left in it, so every
/// command is preceded by a synchronisation.
#[derive(Debug)]
pub struct Agent {
    stream: BufReader<UnixStream>,
    next_sync: i64,
}

impl Agent {
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        // Another user's numbers must not be taken for ours.
        let next_sync = i64::from(std::process::id()) << 20;
        Self { stream: BufReader::new(stream), next_sync }
    }

    /// Asks for an answer and nothing else.
    pub async fn ping(&mut self, bound: Duration) -> Result<(), AgentError> {
        self.execute(qga::guest_ping {}, bound).await.map(drop)
    }

    /// The guest's clock, in nanoseconds since 1970.
    pub async fn time(&mut self, bound: Duration) -> Result<i64, AgentError> {
        self.execute(qga::guest_get_time {}, bound).await
    }

    /// Sets the guest's clock.
    pub async fn set_time(&mut self, nanoseconds: i64, bound: Duration) -> Result<(), AgentError> {
        let command = qga::guest_set_time { time: Some(nanoseconds) };
        self.execute(command, bound).await.map(drop)
    }

    /// Asks the guest to end itself. An agent that obeys never answers, so success means only
    /// that it was there to hear it.
    pub async fn shut_down(&mut self, how: Shutdown, bound: Duration) -> Result<(), AgentError> {
        let mode = Some(match how {
            Shutdown::PowerDown => qga::GuestShutdownMode::Powerdown,
            Shutdown::Restart => qga::GuestShutdownMode::Reboot,
        });
        let send = async {
            self.synchronise().await?;
            self.send(qga::guest_shutdown { mode }, None).await
        };
        tokio::time::timeout(bound, send).await.map_err(|_| AgentError::Silent)?
    }

    async fn execute<C: QgaCommand>(
        &mut self,
        command: C,
        bound: Duration,
    ) -> Result<C::Ok, AgentError> {
        let exchange = async {
            self.synchronise().await?;
            self.send(command, None).await?;
            let line = self.read_until(b'\n').await?;
            answer(&line)
        };
        let answer =
            tokio::time::timeout(bound, exchange).await.map_err(|_| AgentError::Silent)??;
        serde_json::from_value(answer).map_err(AgentError::Malformed)
    }

    /// Throws away everything up to the answer to a number nobody has used before.
    async fn synchronise(&mut self) -> Result<(), AgentError> {
        self.next_sync += 1;
        let id = self.next_sync;
        self.send(qga::guest_sync_delimited { id }, Some(SENTINEL)).await?;
        loop {
            self.read_until(SENTINEL).await?;
            let line = self.read_until(b'\n').await?;
            // An old answer may itself hold what looks like a sentinel; go on with the next one.
            if answer(&line).is_ok_and(|value| value == id) {
                return Ok(());
            }
        }
    }

    async fn send<C: QgaCommand>(
        &mut self,
        command: C,
        prefix: Option<u8>,
    ) -> Result<(), AgentError> {
        let mut line: Vec<u8> = prefix.into_iter().collect();
        let command = qapi::Execute::<C, ()>::with_command(command);
        serde_json::to_writer(&mut line, &command).map_err(AgentError::Malformed)?;
        line.push(b'\n');
        Ok(self.stream.write_all(&line).await?)
    }

    async fn read_until(&mut self, delimiter: u8) -> Result<Vec<u8>, AgentError> {
        let end = || AgentError::Io(io::ErrorKind::UnexpectedEof.into());
        lines::read_until(&mut self.stream, delimiter).await?.ok_or_else(end)
    }
}

fn answer(line: &[u8]) -> Result<Value, AgentError> {
    let mut answer: Value = serde_json::from_slice(line).map_err(AgentError::Malformed)?;
    match answer["error"]["desc"].as_str() {
        Some(complaint) => Err(AgentError::Refused(complaint.to_owned())),
        None => Ok(answer["return"].take()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncBufReadExt;

    use super::*;

    const BOUND: Duration = Duration::from_secs(5);

    /// Plays the guest: has left an unread answer behind, then answers like an agent.
    fn guest() -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        tokio::spawn(async move {
            let (read, mut write) = theirs.into_split();
            write.write_all(b"{\"return\": 12345}\n{\"retu").await.unwrap();
            let mut reader = BufReader::new(read);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
                let start = line.iter().position(|byte| *byte == b'{').unwrap();
                let command: Value = serde_json::from_slice(&line[start..]).unwrap();
                let text = match command["execute"].as_str().unwrap() {
                    "guest-sync-delimited" => {
                        assert_eq!(line[0], SENTINEL);
                        write.write_all(&[SENTINEL]).await.unwrap();
                        format!("{{\"return\": {}}}\n", command["arguments"]["id"])
                    }
                    "guest-get-time" => "{\"return\": 42}\n".to_owned(),
                    "guest-ping" => "{\"return\": {}}\n".to_owned(),
                    other => format!(
                        "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"no {other}\"}}}}\n"
                    ),
                };
                write.write_all(text.as_bytes()).await.unwrap();
                line.clear();
            }
        });
        ours
    }

    #[tokio::test]
    async fn what_an_earlier_user_left_is_not_taken_for_an_answer() {
        let mut agent = Agent::new(guest());
        assert_eq!(agent.time(BOUND).await.unwrap(), 42);
        agent.ping(BOUND).await.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_agents_words() {
        let mut agent = Agent::new(guest());
        let error = agent.set_time(1, BOUND).await.unwrap_err();
        assert_eq!(error.to_string(), "no guest-set-time");
    }

    #[tokio::test]
    async fn a_guest_without_an_agent_costs_no_more_than_the_bound() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Agent::new(ours).ping(Duration::from_millis(10)).await.unwrap_err();
        assert!(matches!(error, AgentError::Silent));
    }
}
