//! What the supervisor says to nobody in particular: lines in `supervisor.log`, which is its
//! standard error.

use std::fmt::Display;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn note(text: impl Display) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let pid = std::process::id();
    // A log that cannot be written is no reason to stop a machine.
    writeln!(std::io::stderr(), "{}.{:03} [{pid}] {text}", since.as_secs(), since.subsec_millis())
        .ok();
}
