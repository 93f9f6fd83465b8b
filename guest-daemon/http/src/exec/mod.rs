//! `/exec`, one file per verb.

pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod resize;
pub(crate) mod start;

use engine::ports::TerminalSize;

/// Rows and columns as clients send them.
fn terminal_size([rows, columns]: [u16; 2]) -> TerminalSize {
    TerminalSize { rows, columns }
}
