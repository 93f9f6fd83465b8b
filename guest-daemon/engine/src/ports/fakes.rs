//! A runtime, a network and registries that live in memory: for this crate's tests and those of front ends.
//!
//! The fake runtime understands a few programs (see [`FakeRuntime`]); its processes outlive the
//! engine that started them, as real ones do.

mod files;
mod network;
mod pipes;
mod programs;
mod registry;
mod runtime;
mod syslog;
#[cfg(test)]
mod tests;

pub use network::FakeNetwork;
pub use pipes::{FakePipe, FakeReader};
pub use registry::FakeRegistry;
pub use runtime::FakeRuntime;
pub use syslog::FakeSyslog;
