//! From a process's output to its log and to everybody attached, without losing a byte.

mod hub;
mod journal;
mod lines;
mod options;
mod pump;
mod read;
mod subscription;

pub(crate) use hub::Hub;
pub(crate) use journal::Journal;
pub(crate) use options::{LogDriver, driver};
pub(crate) use pump::Pump;
pub(crate) use read::{LogFile, read};
pub(crate) use subscription::{From, Wanted, subscribe};
