//! The life of an exec'd process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::types::Exec;
use super::{CreateExec, Execs, Instance, spoken};
use crate::config::HostConfig;
use crate::containers::{
    Container, DetachKeys, Forward, capabilities, environment, exit_code_of, forward_input,
    security_options, told_by_links,
};
use crate::error::{Error, Kind, Result};
use crate::ports::{
    ExecSpec, OutputPipe, Process, ProcessId, ProcessIo, Seccomp, StdioKind, TerminalSize,
};
use crate::streams::{AttachedInput, Attachment, Output, Stream};

/// Pieces of output that wait for a client before the process has to.
const OUTPUT_QUEUE: usize = 64;
const INPUT_QUEUE: usize = 16;

/// What a process left behind may hold the pipes open: then so long a silence is their end.
const SILENCE: Duration = Duration::from_secs(5);

pub(super) async fn start(
    execs: &Execs,
    instance: &Instance,
    terminal_size: Option<TerminalSize>,
) -> Result<Process> {
    let Exec { id, container, request, .. } = &instance.exec;
    let handle = execs.core.registry.find(container)?;
    execs.event(container, &format!("exec_start: {}", spoken(request)), id, &[]);
    let snapshot = handle.look();
    let told =
        told_by_links(&execs.core.registry, &snapshot.container.name, &snapshot.container.host);
    // One that has ended since says nothing any more.
    let links = told.map(|told| told.env).unwrap_or_default();
    let started = match spec(&instance.exec, &snapshot.container, &links, terminal_size) {
        Ok(spec) => execs.core.runtime.exec(container, spec).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(process) => Ok(process),
        Err(error) => Err(failed(execs, &instance.exec, &error).await),
    }
}

/// An exec that did not start has run nevertheless.
async fn failed(execs: &Execs, exec: &Exec, error: &Error) -> Error {
    let text = format!(
        "OCI runtime exec failed: exec failed: unable to start container process: {}: unknown",
        error.with_causes()
    );
    let code = exit_code_of(&text);
    execs.core.execs.ended(&exec.id, code);
    execs.show_ids(&exec.container).await;
    Error::new(if code == 128 { error.kind() } else { Kind::InvalidArgument }, text)
}

/// Joins a client with the process.
pub(super) fn attach(execs: &Execs, instance: &Instance, process: Process) -> Attachment {
    let (sender, receiver) = mpsc::channel(OUTPUT_QUEUE);
    follow(execs, instance, process, Some(sender));
    let detached = CancellationToken::new();
    let output = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|output| (Ok(output), receiver))
    });
    let output = output.take_until(detached.clone().cancelled_owned()).boxed();
    let request = &instance.exec.request;
    let input = request.attach_stdin.then(|| client_input(execs, instance, detached));
    Attachment { tty: request.tty, input, output }
}

/// Moves the process's output and watches for its end.
pub(super) fn follow(
    execs: &Execs,
    instance: &Instance,
    process: Process,
    client: Option<mpsc::Sender<Output>>,
) {
    let Exec { id, request, .. } = &instance.exec;
    let Process { id: process_id, io } = process;
    let ProcessIo { stdin, stdout, stderr } = io;
    let input = stdin.map(Arc::from);
    instance.input.send_replace(input);
    execs.core.execs.runs(id, process_id);
    let wants = |attached: bool| client.clone().filter(|_| attached);
    let ended = CancellationToken::new();
    let pumps = [
        pump(stdout, Stream::Stdout, wants(request.attach_stdout), ended.clone()),
        pump(stderr, Stream::Stderr, wants(request.attach_stderr), ended.clone()),
    ];
    watch_process(execs, instance, process_id, pumps, (ended, client));
}

fn client_input(execs: &Execs, instance: &Instance, detached: CancellationToken) -> AttachedInput {
    let Exec { id, container, request, .. } = &instance.exec;
    let (sender, receiver) = mpsc::channel(INPUT_QUEUE);
    let keys = DetachKeys::parse(&request.detach_keys).ok().filter(|_| request.tty);
    let forward = forward_input(Forward {
        receiver,
        input: instance.input.subscribe(),
        keys,
        detached,
        close_at_end: !request.tty,
    });
    let mut ended = instance.input.subscribe();
    let (execs, id, container) = (execs.clone(), id.clone(), container.clone());
    execs.core.tasks.clone().spawn(async move {
        tokio::select! {
            was_detached = forward => if was_detached {
                execs.event(&container, "exec_detach", &id, &[]);
            },
            _ = ended.wait_for(Option::is_none) => {}
            () = execs.core.stop.cancelled() => {}
        }
    });
    AttachedInput::new(sender)
}

/// Moves one stream. When the client is gone the process still gets rid of what it says.
async fn pump(
    pipe: Option<Box<dyn OutputPipe>>,
    stream: Stream,
    client: Option<mpsc::Sender<Output>>,
    ended: CancellationToken,
) {
    let (Some(mut pipe), mut client) = (pipe, client) else { return };
    loop {
        let data = tokio::select! {
            biased;
            data = pipe.peek() => data,
            () = silence_after(&ended) => return,
        };
        let data = match data {
            Ok(data) if data.is_empty() => return,
            Ok(data) => data,
            Err(error) => {
                tracing::error!(error = error.with_causes(), "output cannot be read");
                return;
            }
        };
        let count = data.len();
        if let Some(sender) = &client
            && sender.send(Output { stream, data: Bytes::from(data) }).await.is_err()
        {
            client = None;
        }
        if let Err(error) = pipe.consume(count).await {
            tracing::error!(error = error.with_causes(), "output cannot be taken");
            return;
        }
    }
}

async fn silence_after(ended: &CancellationToken) {
    ended.cancelled().await;
    tokio::time::sleep(SILENCE).await;
}

fn watch_process<P: Future<Output = ()> + Send + 'static>(
    execs: &Execs,
    instance: &Instance,
    process: ProcessId,
    [stdout, stderr]: [P; 2],
    (ended, until_known): (CancellationToken, Option<mpsc::Sender<Output>>),
) {
    let (execs, input) = (execs.clone(), instance.input.clone());
    let Exec { id, container, .. } = instance.exec.clone();
    let tasks = execs.core.tasks.clone();
    tasks.spawn(async move {
        let stop = execs.core.stop.clone();
        let both = async { tokio::join!(stdout, stderr) };
        tokio::pin!(both);
        let mut moved = false;
        let status = loop {
            tokio::select! {
                status = execs.core.runtime.wait(process) => break status,
                _ = &mut both, if !moved => moved = true,
                () = stop.cancelled() => return,
            }
        };
        let code = match status {
            Ok(status) => status.code,
            Err(error) => {
                tracing::error!(error = error.with_causes(), "how an exec ended is not known");
                255
            }
        };
        // Known before the streams end (this sender keeps them open): clients ask for it when they
        // see that.
        execs.core.execs.ended(&id, code);
        execs.event(&container, "exec_die", &id, &[("exitCode", code.to_string())]);
        drop(until_known);
        ended.cancel();
        if !moved {
            both.await;
        }
        input.send_replace(None);
        if let Err(error) = execs.core.runtime.forget_exec(&container, &id).await {
            tracing::warn!(error = error.with_causes(), "an exec is not forgotten");
        }
        execs.show_ids(&container).await;
    });
}

impl Execs {
    /// A process that an earlier daemon started: nobody is attached any more, but it must not
    /// wait for somebody to read, and its end is still asked for.
    pub(super) fn take_over(&self, container: String, id: String, process: Process) {
        let request = CreateExec::default();
        let exec = Exec { id, container, request, ..Exec::default() };
        let instance = Instance { started: true, ..Instance::new(exec) };
        self.core.execs.insert(instance.clone());
        follow(self, &instance, process, None);
    }
}

fn spec(
    exec: &Exec,
    container: &Container,
    links: &[String],
    terminal_size: Option<TerminalSize>,
) -> Result<ExecSpec> {
    let request = &exec.request;
    let (config, host) = (&container.config, &container.host);
    let security = security_options(host)?;
    let privileged = HostConfig { privileged: true, ..HostConfig::default() };
    let capabilities = if request.privileged || host.privileged {
        capabilities(&privileged)?
    } else {
        capabilities(host)?
    };
    Ok(ExecSpec {
        id: exec.id.clone(),
        args: request.cmd.clone(),
        env: environment(config, request.tty, links, &request.env),
        working_dir: [&request.working_dir, &config.working_dir]
            .into_iter()
            .find(|path| !path.is_empty())
            .map_or_else(|| "/".to_owned(), Clone::clone),
        user: request.user.clone(),
        additional_groups: host.group_add.clone().unwrap_or_default(),
        stdio: if request.tty { StdioKind::Terminal } else { StdioKind::Pipes },
        terminal_size: terminal_size.unwrap_or(request.terminal_size),
        open_stdin: request.attach_stdin,
        capabilities,
        privileged: request.privileged,
        no_new_privileges: security.no_new_privileges,
        seccomp: if request.privileged { Seccomp::Unconfined } else { security.seccomp },
    })
}
