//! The client against registries that are slow, broken or hostile.

mod credentials;
mod downloads;
mod encryption;
mod faults;
mod pushing;
pub(crate) mod site;
