//! What happened, in order, for everybody who listens.

mod filter;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::{broadcast, watch};

use crate::time::Clock;

/// How many are remembered.
const REMEMBERED: usize = 256;

/// How far a listener may fall behind before it misses some.
const BACKLOG: usize = 4096;

/// The service over events; remembers the last 256.
#[derive(Clone, Debug)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    past: Mutex<VecDeque<Arc<Event>>>,
    sender: broadcast::Sender<Arc<Event>>,
    count: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`, `daemon`.
    pub kind: String,
    /// `create`, `start`, `die`, …
    pub action: String,
    pub actor: String,
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub unix_nanos: i128,
}

#[derive(Clone, Debug, Default)]
pub struct EventsRequest {
    /// Nanoseconds since 1970.
    pub since: Option<i128>,
    pub until: Option<i128>,
    pub filters: BTreeMap<String, Vec<String>>,
}

impl Events {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let past = Mutex::new(VecDeque::with_capacity(REMEMBERED));
        let sender = broadcast::channel(BACKLOG).0;
        Self { inner: Arc::new(Inner { past, sender, count: watch::Sender::new(0), clock }) }
    }

    /// Past ones that are remembered (if `since`), then those to come, until `until`.
    pub fn subscribe(&self, request: EventsRequest) -> BoxStream<'static, Event> {
        let (past, receiver) = {
            let past = self.inner.past.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = request.since.is_some() || request.until.is_some();
            let since = request.since.unwrap_or(0);
            let past: Vec<Arc<Event>> =
                past.iter().filter(|event| wanted && event.unix_nanos >= since).cloned().collect();
            // Subscribed under the same lock, so that none is missed and none comes twice.
            (past, self.inner.sender.subscribe())
        };
        let until = request.until;
        let fits = move |event: &Event| {
            until.is_none_or(|until| event.unix_nanos <= until)
                && filter::fits(&request.filters, event)
        };
        let to_come = futures::stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "a listener to events is too slow");
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        let to_come = match until {
            None => to_come.boxed(),
            Some(until) => {
                // What is remembered comes before: a moment in the past ends only the waiting.
                let left = u64::try_from(until - self.inner.clock.now()).unwrap_or(0);
                to_come.take_until(tokio::time::sleep(Duration::from_nanos(left))).boxed()
            }
        };
        let all = futures::stream::iter(past)
            .chain(to_come)
            .filter_map(move |event| std::future::ready(fits(&event).then(|| (*event).clone())));
        all.boxed()
    }

    /// How many there have been: for those who only want to know that something happens.
    pub fn count(&self) -> watch::Receiver<u64> {
        self.inner.count.subscribe()
    }

    /// How many listen now.
    pub(crate) fn listeners(&self) -> usize {
        self.inner.sender.receiver_count()
    }

    pub(crate) fn publish(
        &self,
        kind: &str,
        action: impl Into<String>,
        actor: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let mut past = self.inner.past.lock().unwrap_or_else(PoisonError::into_inner);
        // Timed under the lock, so that nobody sees a later one first.
        let event = Arc::new(Event {
            kind: kind.to_owned(),
            action: action.into(),
            actor: actor.to_owned(),
            attributes,
            unix_nanos: self.inner.clock.now(),
        });
        if past.len() == REMEMBERED {
            past.pop_front();
        }
        past.push_back(Arc::clone(&event));
        self.inner.count.send_modify(|count| *count += 1);
        // An error only says that nobody listens.
        drop(self.inner.sender.send(event));
    }
}

#[cfg(test)]
mod tests;
