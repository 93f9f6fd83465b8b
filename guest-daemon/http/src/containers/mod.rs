//! `/containers`, one file per verb.

pub(crate) mod archive;
pub(crate) mod attach;
pub(crate) mod attach_ws;
pub(crate) mod changes;
pub(crate) mod commit;
pub(crate) mod convert;
pub(crate) mod create;
pub(crate) mod export;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod pause;
pub(crate) mod prune;
pub(crate) mod remove;
pub(crate) mod rename;
pub(crate) mod resize;
pub(crate) mod restart;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod update;
pub(crate) mod wait;

use engine::Outcome;
use http::StatusCode;

use crate::reply::{self, Reply};

/// 204, or 304 when it was already so.
fn acted(outcome: Outcome) -> Reply {
    reply::empty(match outcome {
        Outcome::Done => StatusCode::NO_CONTENT,
        Outcome::AlreadyDone => StatusCode::NOT_MODIFIED,
    })
}
