//! A syslog daemon in memory.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::error::{Error, Kind, Result};
use crate::ports::{Syslog, SyslogConnection, SyslogTarget};

/// Keeps what it is sent. It can be away, and it can take nothing for a while.
#[derive(Debug)]
pub struct FakeSyslog {
    received: Arc<Mutex<Vec<String>>>,
    away: watch::Sender<bool>,
    stalled: watch::Sender<bool>,
}

impl FakeSyslog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            received: Arc::default(),
            away: watch::Sender::new(false),
            stalled: watch::Sender::new(false),
        })
    }

    /// Nobody answers from now on, or somebody does again.
    pub fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// What is sent is not taken until this is over.
    pub fn set_stalled(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub fn received(&self) -> Vec<String> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct FakeConnection {
    received: Arc<Mutex<Vec<String>>>,
    away: watch::Receiver<bool>,
    stalled: watch::Receiver<bool>,
}

fn refused() -> Error {
    Error::new(Kind::Unavailable, "dial udp 10.0.2.2:514: connect: connection refused")
}

#[async_trait]
impl Syslog for FakeSyslog {
    async fn connect(&self, _: &SyslogTarget) -> Result<Box<dyn SyslogConnection>> {
        if *self.away.borrow() {
            return Err(refused());
        }
        Ok(Box::new(FakeConnection {
            received: Arc::clone(&self.received),
            away: self.away.subscribe(),
            stalled: self.stalled.subscribe(),
        }))
    }
}

#[async_trait]
impl SyslogConnection for FakeConnection {
    async fn send(&mut self, message: &[u8]) -> Result<()> {
        if *self.away.borrow() {
            return Err(refused());
        }
        drop(self.stalled.wait_for(|stalled| !stalled).await);
        let text = String::from_utf8_lossy(message).into_owned();
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        Ok(())
    }
}
