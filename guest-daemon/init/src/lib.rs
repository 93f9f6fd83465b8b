//! PID 1: mounts, clock, links, reaping, descriptors that outlive the daemon, power off.
//!
//! **Invariant:** what runs as PID 1 is synchronous and single-threaded; only [`client`], which
//! runs in the daemon, knows tokio.

pub mod client;
mod console;
pub mod disk;
pub mod environment;
mod exits;
pub mod handover;
mod links;
mod mounts;
mod protocol;
mod role;
mod service;
mod settings;
mod shutdown;
mod supervise;

pub use role::run;
