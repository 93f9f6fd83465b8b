//! What a container engine is: containers, exec, images, volumes, networks, events.
//!
//! **Invariant:** no wire format and no system call; effects go through `ports` and `store`.

mod blocking;
pub mod containers;
pub mod error;
pub mod events;
pub mod exec;
mod filters;
mod ids;
pub mod images;
mod logs;
pub mod networks;
mod open;
pub mod ports;
mod receiving;
mod sending;
pub mod settings;
mod sizes;
pub mod streams;
pub mod system;
#[cfg(test)]
mod testing;
pub mod time;
pub mod volumes;

pub use engine_store::digests;
pub use engine_store::records as config;
pub use error::{Error, Kind, Outcome, Result};
pub use open::{EngineConfig, HostFacts};

/// The services of one engine; built once, shared by every front end.
#[derive(Debug)]
pub struct Engine {
    pub containers: containers::Containers,
    pub exec: exec::Execs,
    pub images: images::Images,
    pub volumes: volumes::Volumes,
    pub networks: networks::Networks,
    pub events: events::Events,
    pub system: system::System,
}
