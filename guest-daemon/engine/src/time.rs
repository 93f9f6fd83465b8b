//! Where the time comes from: a value that is handed in, so that tests can fix it.

mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) use words::go_duration;
pub use words::moment;

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// Nanoseconds since 1970.
    fn now(&self) -> i128;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i128 {
        jiff::Timestamp::now().as_nanosecond()
    }
}

/// A clock that goes on by one second whenever it is asked; for tests.
#[derive(Debug)]
pub struct SteppingClock {
    next: AtomicI64,
}

impl SteppingClock {
    pub fn starting_at(unix_seconds: i64) -> Arc<Self> {
        Arc::new(Self { next: AtomicI64::new(unix_seconds) })
    }
}

impl Clock for SteppingClock {
    fn now(&self) -> i128 {
        i128::from(self.next.fetch_add(1, Ordering::Relaxed)) * 1_000_000_000
    }
}

/// What the store keeps: 64 bits last until the year 2262.
pub(crate) fn to_stored(unix_nanos: i128) -> i64 {
    i64::try_from(unix_nanos).unwrap_or(i64::MAX)
}
