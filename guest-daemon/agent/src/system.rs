//! What the agent does to the guest, as a trait so that its protocol can be tested anywhere.

use std::future::Future;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use guest_init::client::InitClient;
use rustix::time::{ClockId, Timespec};

/// How the machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    PowerOff,
    Reboot,
}

/// The guest.
pub trait System: Send + Sync + 'static {
    /// Nanoseconds since 1970.
    fn time(&self) -> i64;
    fn set_time(&self, unix_nanos: i64) -> io::Result<()>;
    /// Holds all writing to the data disk back.
    fn freeze(&self) -> io::Result<()>;
    fn thaw(&self) -> io::Result<()>;
    fn end(&self, ending: Ending) -> impl Future<Output = io::Result<()>> + Send;
}

/// This very guest.
#[derive(Clone, Debug)]
pub struct GuestSystem {
    init: InitClient,
}

impl GuestSystem {
    pub fn new(init: InitClient) -> Self {
        GuestSystem { init }
    }
}

impl System for GuestSystem {
    fn time(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
    }

    fn set_time(&self, unix_nanos: i64) -> io::Result<()> {
        let time = Timespec {
            tv_sec: unix_nanos.div_euclid(1_000_000_000),
            tv_nsec: unix_nanos.rem_euclid(1_000_000_000),
        };
        Ok(rustix::time::clock_settime(ClockId::Realtime, time)?)
    }

    fn freeze(&self) -> io::Result<()> {
        guest_init::disk::freeze()
    }

    fn thaw(&self) -> io::Result<()> {
        guest_init::disk::thaw()
    }

    async fn end(&self, ending: Ending) -> io::Result<()> {
        match ending {
            Ending::PowerOff => self.init.power_off().await,
            Ending::Reboot => self.init.reboot().await,
        }
    }
}
