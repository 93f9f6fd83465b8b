//! The Docker Engine API over HTTP: routes, streams, versions.
//!
//! **Invariant:** handlers translate and decide nothing. Only [`versions`] knows that clients
//! speak different API versions, and only `engine-api` knows what the JSON looks like.

mod build;
mod containers;
mod error;
mod exec;
mod extract;
mod headers;
mod images;
mod networks;
mod pattern;
mod reply;
mod rights;
mod routes;
mod server;
mod stream;
mod system;
mod times;
mod version;
mod versions;
mod volumes;

pub use rights::Rights;
pub use server::{Server, ServerFacts, serve_connection};
