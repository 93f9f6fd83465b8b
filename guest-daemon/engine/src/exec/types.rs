//! What an exec is asked to be, and what it shows.

use crate::ports::TerminalSize;

#[derive(Clone, Debug, Default)]
pub struct CreateExec {
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    pub detach_keys: String,
    pub tty: bool,
    pub env: Vec<String>,
    pub cmd: Vec<String>,
    pub user: String,
    pub working_dir: String,
    pub privileged: bool,
    pub terminal_size: TerminalSize,
}

#[derive(Clone, Debug, Default)]
pub struct Exec {
    pub id: String,
    pub container: String,
    pub running: bool,
    /// `None` until it has ended.
    pub exit_code: Option<i32>,
    pub pid: i32,
    pub can_remove: bool,
    /// As bytes; empty when the usual ones count.
    pub detach_keys: Vec<u8>,
    pub request: CreateExec,
}
