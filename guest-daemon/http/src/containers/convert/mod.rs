//! Containers between the wire and the engine.

pub(crate) mod config;
mod devices;
pub(super) mod host_config;
pub(super) mod inspect;
pub(crate) mod mounts;
pub(super) mod networks;
pub(super) mod path_stat;
mod ports;
mod state;
pub(super) mod stats;
pub(crate) mod summary;

#[cfg(test)]
mod tests;
