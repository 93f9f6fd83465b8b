//! The part of the runtime that lists processes.

/// What has a line of its own in a table of processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    #[default]
    Processes,
    Threads,
}

/// A process as `ps` shows it; ids are those seen in the guest, outside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessEntry {
    pub pid: i32,
    /// That of the process, or of one of its threads.
    pub thread: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// The group in the foreground of its terminal, or -1.
    pub foreground: i32,
    pub uid: u32,
    pub effective_uid: u32,
    pub gid: u32,
    pub effective_gid: u32,
    /// `S`, `R`, …
    pub state: char,
    pub flags: u64,
    pub priority: i64,
    pub nice: i64,
    pub threads: u64,
    /// How the kernel schedules it; 0 is the usual way.
    pub policy: u64,
    /// 0 when it is scheduled the usual way.
    pub realtime_priority: u64,
    /// Where it ran last.
    pub processor: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    /// Bytes.
    pub virtual_size: u64,
    /// Bytes.
    pub resident: u64,
    /// Some of its pages are locked into memory.
    pub has_locked_pages: bool,
    /// Processor use over its life, in tenths of a percent.
    pub cpu_per_mille: u64,
    /// Nanoseconds since 1970.
    pub started_unix_nanos: i128,
    /// `pts/0`, or `?`.
    pub terminal: String,
    /// Processor time so far.
    pub cpu_seconds: u64,
    /// That of its children that have ended.
    pub children_cpu_seconds: u64,
    /// The program's short name.
    pub name: String,
    /// The program and its arguments, or its name in brackets.
    pub command: String,
    /// The variables that it was started with, with blanks between them.
    pub environment: String,
    /// Bytes of the program's own code.
    pub code_size: u64,
    /// Where its stack begins.
    pub stack_start: u64,
    /// Where it is; the kernel tells this only of what ends.
    pub stack_pointer: u64,
    pub instruction_pointer: u64,
    pub signals: Signals,
}

/// A bit for each signal, the first is the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Of a process those that any of its threads may take, of a thread its own.
    pub pending: u64,
    pub blocked: u64,
    pub ignored: u64,
    pub caught: u64,
}
