//! Pipes in memory, whose bytes stay until they are consumed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::ports::{OutputPipe, ProcessInput, TerminalSize};

/// The most that one look at a pipe shows.
const PEEK_LIMIT: usize = 64 * 1024;

/// A pipe: what was written and not yet consumed.
#[derive(Clone, Debug, Default)]
pub struct FakePipe {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    closed: bool,
    size: TerminalSize,
}

impl FakePipe {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn write(&self, data: &[u8]) {
        self.with(|state| state.bytes.extend(data));
    }

    pub fn close_writer(&self) {
        self.with(|state| state.closed = true);
    }

    pub fn is_closed(&self) -> bool {
        self.with(|state| state.closed)
    }

    /// The last size that was set.
    pub fn terminal_size(&self) -> TerminalSize {
        self.with(|state| state.size)
    }

    /// Takes out everything there is; `None` when there is nothing and never will be.
    pub async fn take(&self) -> Option<Vec<u8>> {
        let bytes = self.wait().await;
        if bytes.is_empty() {
            return None;
        }
        self.with(|state| state.bytes.drain(..bytes.len()).for_each(drop));
        Some(bytes)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result =
            change(&mut self.inner.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.inner.changed.notify_waiters();
        result
    }

    async fn wait(&self) -> Vec<u8> {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state =
                    self.inner.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if !state.bytes.is_empty() || state.closed {
                    return state.bytes.iter().take(PEEK_LIMIT).copied().collect();
                }
            }
            changed.await;
        }
    }
}

#[async_trait]
impl ProcessInput for FakePipe {
    async fn write_all(&self, data: &[u8]) -> Result<()> {
        if self.is_closed() {
            return Err(Error::conflict("nobody reads standard input"));
        }
        self.write(data);
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        self.close_writer();
        Ok(())
    }

    async fn resize(&self, size: TerminalSize) -> Result<()> {
        self.with(|state| state.size = size);
        Ok(())
    }
}

/// The reading end of a [`FakePipe`].
#[derive(Clone, Debug)]
pub struct FakeReader(pub FakePipe);

#[async_trait]
impl OutputPipe for FakeReader {
    async fn peek(&mut self) -> Result<Vec<u8>> {
        Ok(self.0.wait().await)
    }

    async fn consume(&mut self, count: usize) -> Result<()> {
        self.0.with(|state| {
            let count = count.min(state.bytes.len());
            state.bytes.drain(..count).for_each(drop);
        });
        Ok(())
    }
}
