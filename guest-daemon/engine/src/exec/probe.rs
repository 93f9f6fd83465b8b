//! One run of a health check: an exec whose output is kept and whose time is limited.

use std::time::Duration;

use engine_store::objects::ProbeRecord;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{CreateExec, Execs};
use crate::containers::Core;
use crate::error::{Error, Result};
use crate::streams::Attachment;
use crate::time::{go_duration, to_stored};

/// More output than this is cut off.
const MOST_OUTPUT: usize = 4096;

/// Beginning an exec takes time on a busy machine; that time does not count as the probe's.
const START_LIMIT: Duration = Duration::from_secs(30);

const KILL: i32 = 9;

#[derive(Debug)]
pub(crate) struct Probe<'a> {
    pub container: &'a str,
    pub command: Vec<String>,
    pub timeout: Duration,
}

/// Runs it once. `None` when `stop` was cancelled meanwhile; the process is then gone as well.
pub(crate) async fn probe(
    core: &Core,
    request: Probe<'_>,
    stop: &CancellationToken,
) -> Option<ProbeRecord> {
    let start = to_stored(core.clock.now());
    let result = tokio::select! {
        biased;
        () = core.stop.cancelled() => return None,
        result = run(core, request, stop) => result,
    };
    if stop.is_cancelled() {
        return None;
    }
    let (exit_code, output) = result.unwrap_or_else(|error| (-1, error.with_causes()));
    Some(ProbeRecord { start, end: to_stored(core.clock.now()), exit_code, output })
}

async fn run(core: &Core, probe: Probe<'_>, stop: &CancellationToken) -> Result<(i32, String)> {
    let execs = Execs::new(core.clone());
    let handle = core.registry.find(probe.container)?;
    let request = CreateExec {
        attach_stdout: true,
        attach_stderr: true,
        cmd: probe.command,
        ..CreateExec::default()
    };
    let id = execs.register(&handle, request).await;
    let attachment = begin(&execs, &id, probe.container).await;
    let result = match attachment {
        Ok(attachment) => watch(&execs, &id, attachment, probe.timeout, stop).await,
        Err(error) => Err(error),
    };
    // Nobody else asks for it, and there is a new one every few seconds.
    core.execs.remove(&id);
    execs.show_ids(probe.container).await;
    result
}

async fn begin(execs: &Execs, id: &str, container: &str) -> Result<Attachment> {
    let (starter, exec) = (execs.clone(), id.to_owned());
    // In a task of its own: a start that is given up half way would leave a process behind.
    let starting = execs.core.tasks.spawn(async move { starter.start(&exec, None).await });
    match tokio::time::timeout(START_LIMIT, starting).await {
        Ok(Ok(started)) => started,
        Ok(Err(failed)) => Err(Error::internal("a probe did not start", failed)),
        Err(_) => Err(Error::conflict(format!(
            "timed out starting health check for container {container}"
        ))),
    }
}

async fn watch(
    execs: &Execs,
    id: &str,
    mut attachment: Attachment,
    timeout: Duration,
    stop: &CancellationToken,
) -> Result<(i32, String)> {
    let mut output = Output::default();
    let ended = tokio::select! {
        () = output.read(&mut attachment) => true,
        () = tokio::time::sleep(timeout) => false,
        () = stop.cancelled() => false,
    };
    if ended {
        let code = execs.core.execs.find(id)?.exec.exit_code;
        let code = code.ok_or_else(|| Error::conflict("the probe has no exit code"))?;
        return Ok((code, output.text()));
    }
    if let Some(process) = execs.core.execs.find(id)?.process
        && let Err(error) = execs.core.runtime.signal(process, KILL).await
    {
        tracing::warn!(exec = id, error = error.with_causes(), "a probe is not killed");
    }
    // Dying probes must not pile up.
    output.read(&mut attachment).await;
    let exceeded = format!("Health check exceeded timeout ({})", go_duration(timeout));
    let said = output.text();
    Ok((-1, if said.is_empty() { exceeded } else { format!("{exceeded}: {said}") }))
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    async fn read(&mut self, attachment: &mut Attachment) {
        while let Some(Ok(piece)) = attachment.output.next().await {
            let room = MOST_OUTPUT - self.bytes.len();
            self.cut |= piece.data.len() > room;
            self.bytes.extend_from_slice(&piece.data[..piece.data.len().min(room)]);
        }
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.cut { format!("{text}...") } else { text.into_owned() }
    }
}
