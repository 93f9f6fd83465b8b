//! Where a container's output is handed out, and its input taken in. It exists as long as the
//! container, over many runs, so that a client can attach before the first byte.
//!
//! **Invariant:** a client sees every byte from the moment it subscribed, in order. One that is
//! too slow leaves the live stream and catches up from the log; it never holds the container up.
//! Only where there is no log does the container wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use engine_store::logs::LogFiles;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::ports::ProcessInput;
use crate::streams::{Output, Stream};

/// How long nothing is said before the streams of a process that has ended count as ended.
const SILENCE: Duration = Duration::from_secs(5);
/// Bytes that may wait for one client.
const QUEUE_LIMIT: usize = 1 << 20;

pub(crate) struct Hub {
    state: Mutex<State>,
    /// Moves with everything that happens, for those who wait.
    moved: watch::Sender<Position>,
    input: watch::Sender<Option<Arc<dyn ProcessInput>>>,
    /// `None` when nothing is logged.
    log: Option<Arc<LogFiles>>,
    room: Notify,
}

/// How far the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Counts the log's files.
    pub generation: u64,
    /// Bytes in the current one.
    pub length: u64,
    /// How often the container's process has ended.
    pub runs_ended: u64,
    pub running: bool,
}

#[derive(Default)]
struct State {
    position: Position,
    /// Handed out but not yet in the log, for each stream.
    partial: [Vec<u8>; 2],
    clients: Vec<Client>,
}

struct Client {
    sender: mpsc::UnboundedSender<Item>,
    queued: Arc<AtomicUsize>,
    wants: [bool; 2],
}

/// What a client receives.
pub(super) enum Item {
    Output(Output),
    /// It was too slow: what comes now is in the log, from here on, but for the first bytes of
    /// each stream, which it has.
    Behind {
        generation: u64,
        offset: u64,
        skip: [usize; 2],
    },
}

/// A client's end of its queue.
pub(super) struct Queue {
    receiver: mpsc::UnboundedReceiver<Item>,
    queued: Arc<AtomicUsize>,
    hub: Arc<Hub>,
}

impl Hub {
    pub(crate) fn new(log: Option<Arc<LogFiles>>) -> Arc<Self> {
        let generation = log.as_ref().map_or(0, |log| log.newest());
        let position = Position { generation, ..Position::default() };
        Arc::new(Self {
            state: Mutex::new(State { position, ..State::default() }),
            moved: watch::Sender::new(position),
            input: watch::Sender::new(None),
            log,
            room: Notify::new(),
        })
    }

    pub(crate) fn log(&self) -> Option<&Arc<LogFiles>> {
        self.log.as_ref()
    }

    pub(crate) fn position(&self) -> Position {
        self.state().position
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.moved.subscribe()
    }

    pub(crate) fn input(&self) -> watch::Receiver<Option<Arc<dyn ProcessInput>>> {
        self.input.subscribe()
    }

    /// A process begins to speak; the log has this length.
    pub(super) fn begin_run(
        &self,
        input: Option<Box<dyn ProcessInput>>,
        length: u64,
        partial: [Vec<u8>; 2],
    ) {
        self.input.send_replace(input.map(Arc::from));
        self.change(|state| {
            state.position.length = length;
            state.position.running = true;
            state.partial = partial;
        });
    }

    /// The process has ended and everything it said was handed out: the clients' streams end.
    pub(crate) fn end_run(&self) {
        self.input.send_replace(None);
        self.change(|state| {
            state.position.running = false;
            state.position.runs_ended += 1;
            state.partial = Default::default();
            state.clients.clear();
        });
    }

    /// The file on the disk is longer than was known, before anything ran.
    pub(crate) fn set_log_length(&self, length: u64) {
        self.change(|state| state.position.length = length);
    }

    /// Hands out a chunk that has been logged.
    pub(super) fn deliver(&self, stderr: bool, data: &Bytes, log: Option<Logged>) {
        let lagging = self.log.is_some();
        let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
        self.change(|state| {
            let before = state.position;
            let skip = [state.partial[0].len(), state.partial[1].len()];
            state.clients.retain(|client| {
                if !client.wants[usize::from(stderr)] || data.is_empty() {
                    return !client.sender.is_closed();
                }
                if lagging && client.queued.load(Ordering::Relaxed) > QUEUE_LIMIT {
                    let (generation, offset) = (before.generation, before.length);
                    drop(client.sender.send(Item::Behind { generation, offset, skip }));
                    return false;
                }
                client.queued.fetch_add(data.len(), Ordering::Relaxed);
                client.sender.send(Item::Output(Output { stream, data: data.clone() })).is_ok()
            });
            if let Some(log) = log {
                state.position.length = log.length;
                state.position.generation += u64::from(log.rotated);
                state.partial = log.partial;
            }
        });
    }

    /// Waits until no client is too far behind; only for containers without a log.
    pub(super) async fn wait_for_room(&self) {
        if self.log.is_some() {
            return;
        }
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let full = self.state().clients.iter().any(|client| {
                client.queued.load(Ordering::Relaxed) > QUEUE_LIMIT && !client.sender.is_closed()
            });
            if !full {
                return;
            }
            room.await;
        }
    }

    /// Waits until the pump has moved all that the process said. What the process left behind may
    /// hold the pipes open: then a long silence is their end.
    pub(crate) async fn moved_by(&self, mut pump: JoinHandle<()>) {
        let mut moved = self.watch();
        loop {
            tokio::select! {
                _ = &mut pump => return,
                more = tokio::time::timeout(SILENCE, moved.changed()) => {
                    if !matches!(more, Ok(Ok(()))) {
                        pump.abort();
                        return;
                    }
                }
            }
        }
    }

    /// From now on.
    pub(super) fn join(self: &Arc<Self>, wants: [bool; 2]) -> Queue {
        self.join_in(&mut self.state(), wants)
    }

    /// From exactly here, if the output is here and nothing has happened since the position was
    /// `seen`: a run that has ended meanwhile would never end again. The bytes that no log has yet
    /// come first.
    pub(super) fn join_at(
        self: &Arc<Self>,
        seen: Position,
        (generation, offset): (u64, u64),
        skip: [usize; 2],
        wants: [bool; 2],
    ) -> Option<Queue> {
        let mut state = self.state();
        if state.position != seen || (seen.generation, seen.length) != (generation, offset) {
            return None;
        }
        let queue = self.join_in(&mut state, wants);
        let client = state.clients.last()?;
        for (place, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            let missing = state.partial[place].get(skip[place]..).unwrap_or_default();
            if wants[place] && !missing.is_empty() {
                let data = Bytes::copy_from_slice(missing);
                client.queued.fetch_add(data.len(), Ordering::Relaxed);
                drop(client.sender.send(Item::Output(Output { stream, data })));
            }
        }
        Some(queue)
    }

    fn join_in(self: &Arc<Self>, state: &mut State, wants: [bool; 2]) -> Queue {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        state.clients.push(Client { sender, queued: Arc::clone(&queued), wants });
        Queue { receiver, queued, hub: Arc::clone(self) }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.moved.send_replace(state.position);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a chunk did to the log.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub length: u64,
    pub rotated: bool,
    pub partial: [Vec<u8>; 2],
}

impl Queue {
    pub(super) async fn next(&mut self) -> Option<Item> {
        let item = self.receiver.recv().await?;
        if let Item::Output(output) = &item {
            self.queued.fetch_sub(output.data.len(), Ordering::Relaxed);
            self.hub.room.notify_waiters();
        }
        Some(item)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.receiver.close();
        self.hub.room.notify_waiters();
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("position", &self.position()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reaches_the_end_of_the_log_as_the_run_ends_does_not_wait_for_the_next_run() {
        let hub = Hub::new(Some(LogFiles::new("log".into())));
        hub.begin_run(None, 7, Default::default());
        let seen = hub.position();
        assert!(hub.join_at(seen, (seen.generation, 7), [0, 0], [true, true]).is_some());
        hub.end_run();
        assert!(hub.join_at(seen, (seen.generation, 7), [0, 0], [true, true]).is_none());
    }
}
