//! The real router and the real engine over fake ports, asked as clients ask.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod containers;
mod files;
mod fuzz;
mod images;
mod registries;
mod resources;
mod rig;
mod streams;
mod system;
mod volumes_networks;
