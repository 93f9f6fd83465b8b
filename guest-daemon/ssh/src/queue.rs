//! Bytes that were taken in and not passed on yet: few as a rule, more where only that goes on.

use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

const USUAL_BYTES: usize = 1024 * 1024;
const AT_WORST_BYTES: usize = 64 * 1024 * 1024;

/// The places of a queue. While `stalled` is true, the reserve is used: waiting for a usual place
/// could then be waiting for oneself.
pub(crate) struct Places {
    usual: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    stalled: watch::Receiver<bool>,
}

impl Places {
    pub(crate) fn new(stalled: watch::Receiver<bool>) -> Self {
        Places {
            usual: Arc::new(Semaphore::new(USUAL_BYTES)),
            reserve: Arc::new(Semaphore::new(AT_WORST_BYTES)),
            stalled,
        }
    }

    /// A place for that many bytes, free again when it is dropped.
    pub(crate) async fn take(&mut self, bytes: usize) -> io::Result<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).map_err(io::Error::other)?;
        tokio::select! {
            biased;
            place = self.usual.clone().acquire_many_owned(bytes) => place.map_err(io::Error::other),
            _ = self.stalled.wait_for(|stalled| *stalled) => {
                let full = |_| io::Error::other("the other side takes nothing");
                self.reserve.clone().try_acquire_many_owned(bytes).map_err(full)
            }
        }
    }
}
