//! Which log a container gets: what its driver and options mean.

mod attributes;
mod options;
mod plan;
mod syslog;
mod tag;

pub(crate) use attributes::Subject;
pub(crate) use options::check;
pub(crate) use plan::{FilePlan, LogPlan, RemotePlan, place, plan};
pub(crate) use syslog::Formatter;

/// The drivers that can be used here, as `docker info` lists them.
pub(crate) const AVAILABLE: [&str; 3] = ["json-file", "local", "syslog"];
