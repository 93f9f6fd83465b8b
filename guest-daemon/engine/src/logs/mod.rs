//! From a process's output to its log and to everybody attached, without losing a byte.

mod driver;
mod hub;
mod journal;
mod lines;
mod pump;
mod read;
mod shipper;
mod subscription;

pub(crate) use driver::{AVAILABLE, LogPlan, Subject, check, place, plan};
pub(crate) use hub::Hub;
pub(crate) use journal::Journal;
pub(crate) use pump::Pump;
pub(crate) use read::read;
pub(crate) use shipper::Shipper;
pub(crate) use subscription::{From, Wanted, subscribe};
