//! `/networks`, one file per verb.

mod convert;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod prune;
