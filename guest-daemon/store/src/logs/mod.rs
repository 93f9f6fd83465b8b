//! Containers' logs on the disk: entries are lines of a file that may be rotated and compressed.

mod compress;
mod encode;
mod files;
mod read;
mod tail;
mod writer;

pub use encode::{LogEncoder, LogForm, Stamped};
pub use files::LogFiles;
pub use read::{LogEntry, LogReader};
pub use writer::{LogWriter, Rotation};
