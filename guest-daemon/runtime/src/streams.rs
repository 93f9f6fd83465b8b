//! The daemon's ends of a process's standard streams: pipes, or one terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use async_trait::async_trait;
use engine::error::{Error, Result};
use engine::ports::{OutputPipe, ProcessInput, TerminalSize};
use guest_init::client::InitClient;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, tee};
use rustix::termios::Winsize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

/// A pipe holds no more.
const PIPE_BYTES: usize = 1 << 16;

/// The reading end of standard output or error. What is peeked stays in the pipe, so the next
/// daemon sees it again.
#[derive(Debug)]
pub(crate) struct PipeOutput {
    pipe: AsyncFd<OwnedFd>,
    scratch_in: OwnedFd,
    scratch_out: OwnedFd,
}

impl PipeOutput {
    pub(crate) fn new(pipe: OwnedFd) -> io::Result<Self> {
        let (scratch_out, scratch_in) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { pipe: register(pipe, Interest::READABLE)?, scratch_in, scratch_out })
    }

    fn copy(&self) -> rustix::io::Result<Vec<u8>> {
        let count = tee(self.pipe.get_ref(), &self.scratch_in, PIPE_BYTES, SpliceFlags::NONBLOCK)?;
        let mut bytes = vec![0; count];
        read_exactly(&self.scratch_out, &mut bytes)?;
        Ok(bytes)
    }
}

#[async_trait]
impl OutputPipe for PipeOutput {
    async fn peek(&mut self) -> Result<Vec<u8>> {
        loop {
            let mut ready = self.pipe.readable().await.map_err(cannot_read)?;
            match self.copy() {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                other => return other.map_err(cannot_read),
            }
        }
    }

    async fn consume(&mut self, count: usize) -> Result<()> {
        let mut bytes = vec![0; count];
        read_exactly(self.pipe.get_ref(), &mut bytes).map_err(cannot_read)
    }
}

fn read_exactly(from: &OwnedFd, mut buffer: &mut [u8]) -> rustix::io::Result<()> {
    while !buffer.is_empty() {
        match rustix::io::read(from, &mut *buffer) {
            Ok(0) => return Err(Errno::PIPE),
            Ok(count) => buffer = &mut buffer[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A terminal's output. The kernel has no way to look without taking, so what is peeked is kept
/// here.
#[derive(Debug)]
pub(crate) struct TerminalOutput {
    master: AsyncFd<OwnedFd>,
    peeked: Vec<u8>,
}

impl TerminalOutput {
    pub(crate) fn new(master: OwnedFd) -> io::Result<Self> {
        Ok(Self { master: register(master, Interest::READABLE)?, peeked: Vec::new() })
    }
}

#[async_trait]
impl OutputPipe for TerminalOutput {
    async fn peek(&mut self) -> Result<Vec<u8>> {
        while self.peeked.is_empty() {
            let mut ready = self.master.readable().await.map_err(cannot_read)?;
            let mut buffer = vec![0; 32 * 1024];
            match rustix::io::read(self.master.get_ref(), &mut buffer) {
                // EIO: nobody has the other side open any more.
                Ok(0) | Err(Errno::IO) => break,
                Ok(count) => {
                    buffer.truncate(count);
                    self.peeked = buffer;
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(cannot_read(error)),
            }
        }
        Ok(self.peeked.clone())
    }

    async fn consume(&mut self, count: usize) -> Result<()> {
        self.peeked.drain(..count.min(self.peeked.len()));
        Ok(())
    }
}

/// The writing end of standard input.
#[derive(Debug)]
pub(crate) struct PipeInput {
    pipe: Mutex<Option<AsyncFd<OwnedFd>>>,
    init: InitClient,
    /// Under which init keeps its copy.
    name: String,
}

impl PipeInput {
    pub(crate) fn new(pipe: OwnedFd, init: InitClient, name: String) -> io::Result<Self> {
        Ok(Self { pipe: Mutex::new(Some(register(pipe, Interest::WRITABLE)?)), init, name })
    }
}

#[async_trait]
impl ProcessInput for PipeInput {
    async fn write_all(&self, data: &[u8]) -> Result<()> {
        match self.pipe.lock().await.as_ref() {
            Some(pipe) => write_all(pipe, data).await,
            None => Err(Error::conflict("standard input is closed")),
        }
    }

    async fn close(&self) -> Result<()> {
        let mut pipe = self.pipe.lock().await;
        // The process sees the end only when the last copy is gone: init's first, so that ours
        // stays when that fails and closing can be tried again.
        self.init
            .remove(&self.name)
            .await
            .map_err(|error| Error::internal("cannot close standard input", error))?;
        *pipe = None;
        Ok(())
    }

    async fn resize(&self, _size: TerminalSize) -> Result<()> {
        Err(Error::conflict("the process has no terminal"))
    }
}

/// A terminal as input.
#[derive(Debug)]
pub(crate) struct TerminalInput {
    master: Arc<AsyncFd<OwnedFd>>,
    /// Held while writing, so that two writers do not mix.
    turn: Mutex<()>,
}

impl TerminalInput {
    pub(crate) fn new(master: OwnedFd) -> io::Result<Self> {
        let master = Arc::new(register(master, Interest::WRITABLE)?);
        Ok(Self { master, turn: Mutex::default() })
    }
}

#[async_trait]
impl ProcessInput for TerminalInput {
    async fn write_all(&self, data: &[u8]) -> Result<()> {
        let _turn = self.turn.lock().await;
        write_all(&self.master, data).await
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }

    async fn resize(&self, size: TerminalSize) -> Result<()> {
        resize(self.master.get_ref(), size)
            .map_err(|error| Error::internal("cannot resize the terminal", error))
    }
}

/// Sets a terminal's size.
pub(crate) fn resize(master: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(master, size)?)
}

async fn write_all(to: &AsyncFd<OwnedFd>, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let mut ready = to.writable().await.map_err(cannot_write)?;
        match rustix::io::write(to.get_ref(), data) {
            Ok(count) => data = &data[count..],
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(Errno::PIPE | Errno::IO) => {
                return Err(Error::conflict("the process does not read its input any more"));
            }
            Err(error) => return Err(cannot_write(error)),
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the safe function is deprecated")]
pub(crate) fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    fcntl_setfl(&descriptor, fcntl_getfl(&descriptor)? | OFlags::NONBLOCK)?;
    // SAFETY: the descriptor is owned by the value itself and stays open as long as it lives.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

fn cannot_read(error: impl Into<io::Error>) -> Error {
    Error::internal("cannot read the process's output", error.into())
}

fn cannot_write(error: impl Into<io::Error>) -> Error {
    Error::internal("cannot write to the process", error.into())
}

#[cfg(test)]
mod tests;
