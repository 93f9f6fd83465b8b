//! `/volumes`, one file per verb.

pub(crate) mod convert;
pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod prune;
pub(crate) mod remove;
