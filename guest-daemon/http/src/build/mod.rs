//! `/build`, one file per verb.

pub(crate) mod prune;
