//! The columns of ps: their titles, and what stands in them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ports::ProcessEntry;

/// What a line needs to know beside its process.
pub(super) struct Facts {
    pub now: i128,
    /// The machine's, in bytes.
    pub memory: u64,
    /// Whether the time of children that have ended is their parents'.
    pub cumulative: bool,
}

const KIB: u64 = 1024;
const PAGE: u64 = 4096;
const NANOS: i128 = 1_000_000_000;

/// What stands above a column; `None` when there is no such column.
pub(super) fn title(key: &str) -> Option<&'static str> {
    Some(match key {
        "pid" | "tgid" => "PID",
        "lwp" => "LWP",
        "tid" => "TID",
        "spid" => "SPID",
        "label" => "LABEL",
        "context" => "CONTEXT",
        "ppid" => "PPID",
        "pgid" => "PGID",
        "pgrp" => "PGRP",
        "sid" => "SID",
        "sess" | "session" => "SESS",
        "tpgid" => "TPGID",
        "UID" | "uid" => "UID",
        "euid" => "EUID",
        "ruid" => "RUID",
        "user" | "uname" => "USER",
        "euser" => "EUSER",
        "ruser" => "RUSER",
        "gid" => "GID",
        "egid" => "EGID",
        "rgid" => "RGID",
        "group" => "GROUP",
        "egroup" => "EGROUP",
        "rgroup" => "RGROUP",
        "comm" | "ucomm" | "args" | "command" => "COMMAND",
        "ucmd" | "cmd" => "CMD",
        "time" | "cputime" | "bsdtime" => "TIME",
        "etime" | "etimes" => "ELAPSED",
        "stime" => "STIME",
        "start" | "lstart" => "STARTED",
        "start_time" | "bsdstart" => "START",
        "tname" => "TTY",
        "tty" | "tt" => "TT",
        "c" => "C",
        "pcpu" | "%cpu" => "%CPU",
        "pmem" | "%mem" => "%MEM",
        "rss" | "rssize" | "rsz" => "RSS",
        "vsz" | "vsize" => "VSZ",
        "sz" => "SZ",
        "ni" | "nice" => "NI",
        "pri" | "opri" | "intpri" | "priority" => "PRI",
        "cls" | "class" => "CLS",
        "policy" | "pol" => "POL",
        "rtprio" => "RTPRIO",
        "s" | "state" => "S",
        "stat" => "STAT",
        "nlwp" | "thcount" => "NLWP",
        "f" | "flag" | "flags" => "F",
        "psr" => "PSR",
        "wchan" => "WCHAN",
        "addr" => "ADDR",
        "maj_flt" => "MAJFL",
        "min_flt" => "MINFL",
        "trs" => "TRS",
        "drs" => "DRS",
        "pending" | "sig" => "PENDING",
        "blocked" | "sigmask" => "BLOCKED",
        "ignored" | "sigignore" => "IGNORED",
        "caught" | "sigcatch" => "CAUGHT",
        "stackp" => "STACKP",
        "esp" => "ESP",
        "eip" => "EIP",
        "tmout" => "TMOUT",
        "alarm" => "ALARM",
        _ => return None,
    })
}

/// Whether a column tells what runs: in front of that a tree is drawn.
pub(super) fn is_command(key: &str) -> bool {
    matches!(key, "comm" | "ucomm" | "ucmd" | "args" | "command" | "cmd")
}

/// Whether it tells that with all arguments.
pub(super) fn is_long_command(key: &str) -> bool {
    matches!(key, "args" | "command" | "cmd")
}

pub(super) fn show(key: &str, of: &ProcessEntry, facts: &Facts) -> String {
    let alive = ((facts.now - of.started_unix_nanos) / NANOS).max(0);
    let seconds = cpu_seconds(of, facts);
    match key {
        "pid" | "tgid" => of.pid.to_string(),
        "lwp" | "tid" | "spid" => of.thread.to_string(),
        "ppid" => of.parent.to_string(),
        "pgid" | "pgrp" => of.group.to_string(),
        "sid" | "sess" | "session" => of.session.to_string(),
        "tpgid" => of.foreground.to_string(),
        "UID" | "user" | "uname" | "euser" => name(of.effective_uid),
        "ruser" => name(of.uid),
        "uid" | "euid" => of.effective_uid.to_string(),
        "ruid" => of.uid.to_string(),
        "group" | "egroup" => name(of.effective_gid),
        "rgroup" => name(of.gid),
        "gid" | "egid" => of.effective_gid.to_string(),
        "rgid" => of.gid.to_string(),
        "comm" | "ucomm" | "ucmd" => of.name.clone(),
        "args" | "command" | "cmd" => of.command.clone(),
        "time" | "cputime" => cpu_time(seconds),
        "bsdtime" => format!("{}:{:02}", seconds / 60, seconds % 60),
        "etime" => elapsed(alive),
        "etimes" => alive.to_string(),
        "stime" | "start_time" | "bsdstart" => short_start(of.started_unix_nanos, facts.now),
        "start" => start(of.started_unix_nanos, facts.now),
        "lstart" => at(of.started_unix_nanos).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        "tname" | "tty" | "tt" => of.terminal.clone(),
        "c" => (of.cpu_per_mille / 10).min(99).to_string(),
        "pcpu" | "%cpu" => tenths(of.cpu_per_mille),
        "pmem" | "%mem" => tenths(of.resident.saturating_mul(1000) / facts.memory.max(1)),
        "rss" | "rssize" | "rsz" => (of.resident / KIB).to_string(),
        "vsz" | "vsize" => (of.virtual_size / KIB).to_string(),
        "sz" => (of.virtual_size / PAGE).to_string(),
        "ni" | "nice" => of.nice.to_string(),
        "pri" => (39 - of.priority).to_string(),
        "opri" | "intpri" => (60 + of.priority).to_string(),
        "priority" => of.priority.to_string(),
        "cls" | "class" | "policy" | "pol" => class(of.policy).to_owned(),
        "rtprio" if of.realtime_priority > 0 => of.realtime_priority.to_string(),
        "s" | "state" => of.state.to_string(),
        "stat" => state(of),
        "nlwp" | "thcount" => of.threads.to_string(),
        "f" | "flag" | "flags" => format!("{:x}", (of.flags >> 6) & 7),
        "psr" => of.processor.to_string(),
        "maj_flt" => of.major_faults.to_string(),
        "min_flt" => of.minor_faults.to_string(),
        "trs" => (of.code_size / KIB).to_string(),
        "drs" => (of.virtual_size.saturating_sub(of.code_size) / KIB).to_string(),
        "pending" | "sig" => format!("{:016x}", of.signals.pending),
        "blocked" | "sigmask" => format!("{:016x}", of.signals.blocked),
        "ignored" | "sigignore" => format!("{:016x}", of.signals.ignored),
        "caught" | "sigcatch" => format!("{:016x}", of.signals.caught),
        "stackp" => format!("{:016x}", of.stack_start),
        "esp" => format!("{:016x}", of.stack_pointer),
        "eip" => format!("{:016x}", of.instruction_pointer),
        // Where in the kernel it sleeps is nobody's business; no module of security labels it, and
        // what old kernels knew of timers nobody tells any more.
        _ => "-".to_owned(),
    }
}

pub(super) fn cpu_seconds(of: &ProcessEntry, facts: &Facts) -> u64 {
    let children = if facts.cumulative { of.children_cpu_seconds } else { 0 };
    of.cpu_seconds.saturating_add(children)
}

/// What a column with numbers instead of names has; the title stays.
pub(super) fn numeric(key: &str) -> &str {
    match key {
        "UID" | "user" | "uname" | "euser" => "euid",
        "ruser" => "ruid",
        "group" | "egroup" => "egid",
        "rgroup" => "rgid",
        other => other,
    }
}

/// Whose a column is where a process has a line, and each of its threads one below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Process,
    Thread,
    Both,
}

pub(super) fn owner(key: &str) -> Owner {
    match key {
        "pid" | "tgid" | "ppid" | "pgid" | "pgrp" | "sid" | "sess" | "session" | "tpgid"
        | "comm" | "ucomm" | "ucmd" | "args" | "command" | "cmd" | "tname" | "tty" | "tt"
        | "pmem" | "%mem" | "rss" | "rssize" | "rsz" | "vsz" | "vsize" | "sz" | "nlwp"
        | "thcount" | "trs" | "drs" | "stackp" => Owner::Process,
        "lwp" | "tid" | "spid" | "s" | "state" | "stat" | "ni" | "nice" | "pri" | "opri"
        | "intpri" | "priority" | "cls" | "class" | "policy" | "pol" | "rtprio" | "psr"
        | "wchan" | "addr" | "blocked" | "sigmask" | "ignored" | "sigignore" | "caught"
        | "sigcatch" | "esp" | "eip" => Owner::Thread,
        _ => Owner::Both,
    }
}

fn class(policy: u64) -> &'static str {
    match policy {
        0 => "TS",
        1 => "FF",
        2 => "RR",
        3 => "B",
        4 => "ISO",
        5 => "IDL",
        6 => "DLN",
        _ => "?",
    }
}

fn name(id: u32) -> String {
    if id == 0 { "root".to_owned() } else { id.to_string() }
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// `Ss+`: asleep, leads its session, in the foreground.
fn state(of: &ProcessEntry) -> String {
    let marks = [
        (of.nice < 0, '<'),
        (of.nice > 0, 'N'),
        (of.has_locked_pages, 'L'),
        (of.session == of.pid, 's'),
        (of.threads > 1, 'l'),
        (of.foreground == of.group, '+'),
    ];
    let marks = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark);
    std::iter::once(of.state).chain(marks).collect()
}

fn cpu_time(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `01:05`, `02:00:00`, `3-00:00:00`.
fn elapsed(seconds: i128) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes:02}:{seconds:02}"),
        (0, _) => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}-{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn at(unix_nanos: i128) -> jiff::Zoned {
    Timestamp::from_nanosecond(unix_nanos).unwrap_or_default().to_zoned(TimeZone::UTC)
}

/// The hour of today, else the day, else the year.
fn short_start(started: i128, now: i128) -> String {
    let (started, now) = (at(started), at(now));
    let form = match () {
        () if started.date() == now.date() => "%H:%M",
        () if started.year() == now.year() => "%b%d",
        () => "%Y",
    };
    started.strftime(form).to_string()
}

fn start(started: i128, now: i128) -> String {
    let form = if now - started < 86_400 * NANOS { "%H:%M:%S" } else { "%b %d" };
    at(started).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Signals;

    #[test]
    fn every_column_says_something() {
        let entry = ProcessEntry {
            pid: 7,
            session: 7,
            group: 7,
            foreground: 7,
            state: 'S',
            threads: 2,
            resident: 3 << 20,
            priority: 20,
            policy: 1,
            realtime_priority: 7,
            children_cpu_seconds: 60,
            cpu_per_mille: 15,
            cpu_seconds: 3_725,
            virtual_size: 2_990_080,
            code_size: 17_929,
            stack_start: 0x7fff_69e6_a1f0,
            signals: Signals { ignored: 6, ..Signals::default() },
            ..ProcessEntry::default()
        };
        let facts = Facts { now: 90_061 * NANOS, memory: 1 << 30, cumulative: false };
        for (key, text) in [
            ("pid", "7"),
            ("user", "root"),
            ("stat", "Ssl+"),
            ("time", "01:02:05"),
            ("bsdtime", "62:05"),
            ("etime", "1-01:01:01"),
            ("etimes", "90061"),
            ("stime", "Jan01"),
            ("lstart", "Thu Jan  1 00:00:00 1970"),
            ("%cpu", "1.5"),
            ("%mem", "0.2"),
            ("rss", "3072"),
            ("c", "1"),
            ("pri", "19"),
            ("opri", "80"),
            ("priority", "20"),
            ("cls", "FF"),
            ("rtprio", "7"),
            ("trs", "17"),
            ("drs", "2902"),
            ("ignored", "0000000000000006"),
            ("stackp", "00007fff69e6a1f0"),
            ("esp", "0000000000000000"),
            ("alarm", "-"),
            ("context", "-"),
        ] {
            assert_eq!(show(key, &entry, &facts), text, "{key}");
        }
        let cumulative = Facts { cumulative: true, ..facts };
        assert_eq!(show("time", &entry, &cumulative), "01:03:05");
        assert_eq!(elapsed(65), "01:05");
        assert_eq!(title("nonsense"), None);
    }
}
