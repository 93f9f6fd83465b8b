//! Containers between the wire and the engine.

pub(crate) mod config;
pub(super) mod host_config;
pub(super) mod inspect;
mod mounts;
pub(super) mod networks;
mod ports;
mod state;
pub(super) mod summary;

#[cfg(test)]
mod tests;
