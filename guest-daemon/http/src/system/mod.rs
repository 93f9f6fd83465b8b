//! The engine about itself.

pub(crate) mod auth;
pub(crate) mod df;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod ping;
pub(crate) mod plugins;
pub(crate) mod version;
