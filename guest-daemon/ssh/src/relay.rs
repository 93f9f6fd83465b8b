//! Moving bytes between a channel and its process, and telling how the process ended.
//!
//! ```text
//!  channel ── input ──► stdin             a full stdin holds the whole connection back
//!  channel ◄─ output ◄─ queue ◄─ stdout   a full queue holds the process back
//! ```
//!
//! The two must not wait for each other, as they would with a `cat` that has much to echo: its
//! full output would stop its input, which would stop the connection, which alone can empty the
//! output. So while stdin is full, output is taken in beyond the queue's usual length.

use std::io;

use guest_process::{AsyncDescriptor, EndedBy, ended_by, resize_terminal};
use nix::sys::signal::Signal;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::handler::size;
use crate::queue::Places;
use crate::shell::{Child, Running, Streams};

pub(crate) const CHUNK_BYTES: usize = 32 * 1024;
/// The number of the error stream in the protocol.
pub(crate) const STDERR: u32 = 1;

/// Runs a channel until its process has ended or the client has gone.
pub(crate) async fn run(channel: Channel<Msg>, session: Handle, running: Running) {
    let (mut from_client, to_client) = channel.split();
    let id = to_client.id();
    let Running { child, streams } = running;
    let stalled = watch::Sender::new(false);
    let ended = match streams {
        Streams::Terminal(terminal) => {
            let output = terminal_output(&terminal, &child, &to_client, stalled.subscribe());
            tokio::select! {
                ended = output => Some(ended),
                () = terminal_input(&mut from_client, &terminal, &child, &stalled) => None,
            }
        }
        Streams::Pipes { stdin, stdout, stderr } => {
            let output = async {
                let streams = tokio::try_join!(
                    copy_output(PipeOutput(stdout), &to_client, None, stalled.subscribe()),
                    copy_output(PipeOutput(stderr), &to_client, Some(STDERR), stalled.subscribe()),
                );
                streams?;
                child.wait().await
            };
            tokio::select! {
                ended = output => Some(ended),
                () = pipe_input(&mut from_client, stdin, &child, &stalled) => None,
            }
        }
    };
    match ended {
        Some(Ok(status)) => report(&session, id, status).await,
        Some(Err(error)) => {
            tracing::debug!(%error, "ssh: output was not delivered");
            close(&session, id).await;
            reap(child).await;
        }
        // The client has gone. The streams are closed by now, which most programs notice.
        None => reap(child).await,
    }
}

async fn reap(child: Child) {
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, "ssh: a shell was not reaped");
    }
}

/// Tells the client how the process ended and closes the channel.
pub(crate) async fn report(session: &Handle, id: ChannelId, status: i32) {
    let told = match ended_by(status) {
        EndedBy::Exit(code) => {
            session.exit_status_request(id, u32::try_from(code).unwrap_or(255)).await
        }
        EndedBy::Signal(signal) => {
            let nothing = String::new;
            session.exit_signal_request(id, name(signal), false, nothing(), nothing()).await
        }
    };
    // Fails only when the connection is gone.
    if told.is_ok() {
        close(session, id).await;
    }
}

pub(crate) async fn close(session: &Handle, id: ChannelId) {
    if session.eof(id).await.is_ok() {
        let _gone = session.close(id).await;
    }
}

/// A signal's name in the protocol, which is without `SIG`.
fn name(signal: i32) -> Sig {
    match Signal::try_from(signal) {
        Ok(Signal::SIGABRT) => Sig::ABRT,
        Ok(Signal::SIGALRM) => Sig::ALRM,
        Ok(Signal::SIGFPE) => Sig::FPE,
        Ok(Signal::SIGHUP) => Sig::HUP,
        Ok(Signal::SIGILL) => Sig::ILL,
        Ok(Signal::SIGINT) => Sig::INT,
        Ok(Signal::SIGKILL) => Sig::KILL,
        Ok(Signal::SIGPIPE) => Sig::PIPE,
        Ok(Signal::SIGQUIT) => Sig::QUIT,
        Ok(Signal::SIGSEGV) => Sig::SEGV,
        Ok(Signal::SIGTERM) => Sig::TERM,
        Ok(Signal::SIGUSR1) => Sig::USR1,
        Ok(other) => Sig::Custom(other.as_str().trim_start_matches("SIG").to_owned()),
        Err(_) => Sig::Custom(signal.to_string()),
    }
}

fn number(signal: &Sig) -> Option<Signal> {
    Some(match signal {
        Sig::ABRT => Signal::SIGABRT,
        Sig::ALRM => Signal::SIGALRM,
        Sig::FPE => Signal::SIGFPE,
        Sig::HUP => Signal::SIGHUP,
        Sig::ILL => Signal::SIGILL,
        Sig::INT => Signal::SIGINT,
        Sig::KILL => Signal::SIGKILL,
        Sig::PIPE => Signal::SIGPIPE,
        Sig::QUIT => Signal::SIGQUIT,
        Sig::SEGV => Signal::SIGSEGV,
        Sig::TERM => Signal::SIGTERM,
        Sig::USR1 => Signal::SIGUSR1,
        Sig::Custom(name) => return format!("SIG{name}").parse().ok(),
    })
}

fn deliver(signal: &Sig, child: &Child) {
    if let Some(signal) = number(signal)
        && let Err(error) = child.signal(signal)
    {
        tracing::debug!(%error, "ssh: signal not delivered");
    }
}

/// Ends when the client closes the channel.
async fn pipe_input(
    from_client: &mut ChannelReadHalf,
    stdin: pipe::Sender,
    child: &Child,
    stalled: &watch::Sender<bool>,
) {
    let mut stdin = Some(stdin);
    while let Some(message) = from_client.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let Some(open) = &mut stdin else { continue };
                stalled.send_replace(true);
                // The process reads no more; what follows is thrown away.
                if open.write_all(&data).await.is_err() {
                    stdin = None;
                }
                stalled.send_replace(false);
            }
            ChannelMsg::Eof => stdin = None,
            ChannelMsg::Signal { signal } => deliver(&signal, child),
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Ends when the client closes the channel.
async fn terminal_input(
    from_client: &mut ChannelReadHalf,
    terminal: &AsyncDescriptor,
    child: &Child,
    stalled: &watch::Sender<bool>,
) {
    while let Some(message) = from_client.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                stalled.send_replace(true);
                if let Err(error) = terminal.write_all(&data).await {
                    tracing::debug!(%error, "ssh: the terminal takes nothing");
                }
                stalled.send_replace(false);
            }
            ChannelMsg::WindowChange { col_width, row_height, .. } => {
                if let Err(error) = resize_terminal(terminal, size(row_height, col_width)) {
                    tracing::debug!(%error, "ssh: the terminal keeps its size");
                }
            }
            ChannelMsg::Signal { signal } => deliver(&signal, child),
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// Ends with the process, not with the terminal: something in the background may keep that open.
async fn terminal_output(
    terminal: &AsyncDescriptor,
    child: &Child,
    to_client: &ChannelWriteHalf<Msg>,
    stalled: watch::Receiver<bool>,
) -> io::Result<i32> {
    let output = TerminalOutput { terminal, child, ended: false };
    copy_output(output, to_client, None, stalled).await?;
    child.wait().await
}

/// Where output comes from.
pub(crate) trait Output {
    /// The next bytes; empty at the end.
    async fn next(&mut self) -> io::Result<Vec<u8>>;
}

struct PipeOutput(pipe::Receiver);

impl Output for PipeOutput {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        self.0.read_buf(&mut bytes).await?;
        Ok(bytes)
    }
}

struct TerminalOutput<'a> {
    terminal: &'a AsyncDescriptor,
    child: &'a Child,
    ended: bool,
}

impl Output for TerminalOutput<'_> {
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        if !self.ended {
            tokio::select! {
                biased;
                bytes = self.terminal.read_with(read_terminal) => return bytes,
                status = self.child.wait() => {
                    status?;
                    self.ended = true;
                }
            }
        }
        // The process has ended: what is there now is all that it wrote.
        match read_terminal(std::os::fd::AsFd::as_fd(self.terminal)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            other => other,
        }
    }
}

fn read_terminal(terminal: std::os::fd::BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; CHUNK_BYTES];
    match rustix::io::read(terminal, &mut bytes) {
        Ok(count) => {
            bytes.truncate(count);
            Ok(bytes)
        }
        // Nobody has the other side open any more.
        Err(rustix::io::Errno::IO) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Copies until the end.
pub(crate) async fn copy_output(
    mut output: impl Output,
    to_client: &ChannelWriteHalf<Msg>,
    stream: Option<u32>,
    stalled: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut places = Places::new(stalled);
    let (queue, mut queued) = mpsc::unbounded_channel::<(Vec<u8>, OwnedSemaphorePermit)>();
    let take_in = async {
        loop {
            let bytes = output.next().await?;
            if bytes.is_empty() {
                drop(queue);
                return Ok(());
            }
            let place = places.take(bytes.len()).await?;
            if queue.send((bytes, place)).is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    };
    let send = async {
        while let Some((bytes, place)) = queued.recv().await {
            let sent = match stream {
                None => to_client.data_bytes(bytes).await,
                Some(number) => to_client.extended_data_bytes(number, bytes).await,
            };
            sent.map_err(io::Error::other)?;
            drop(place);
        }
        Ok(())
    };
    let copied: io::Result<((), ())> = tokio::try_join!(take_in, send);
    copied.map(drop)
}
