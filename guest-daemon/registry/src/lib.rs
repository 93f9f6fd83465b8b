//! Adapter of the engine's `Registry` port: registries over HTTP, as the OCI distribution
//! specification and Docker Hub speak it.
//!
//! **Invariant:** nothing that a registry sends is trusted. Every document is bounded, credentials
//! go to the registry they belong to and its token server only, and no address that is only of
//! this machine's own link is ever asked.

mod addresses;
mod authorization;
mod blob;
mod certificates;
mod challenge;
mod client;
mod documents;
mod download;
mod endpoint;
mod endpoints;
mod failure;
mod login;
mod manifest;
mod repository;
mod search;
mod signatures;
mod token;
mod transport;
mod unreachable;
mod upload;

pub use client::{HttpRegistry, Options};

#[cfg(test)]
mod tests;
