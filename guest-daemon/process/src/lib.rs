//! The only code of the guest that forks, execs and reaps.
//!
//! **Invariant:** no thread, no global state and no signal handler; whoever spawns also decides
//! how to wait (by pidfd, or as PID 1 with [`next_exited`]).

mod descriptor;
mod foster;
mod identity;
mod reap;
mod spawn;
mod terminal;

pub use descriptor::AsyncDescriptor;
pub use foster::foster;
pub use identity::{parse_start_time, start_time};
pub use reap::{EndedBy, ended_by, next_exited, reap, reap_any_until, shell_code};
pub use spawn::{Child, Command};
pub use terminal::{Terminal, TerminalSize, open_terminal, resize_terminal};
