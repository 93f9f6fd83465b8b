//! What `ps` shows of a process, read from /proc (the fields are described in proc(5)).

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use engine::ports::{Listed, ProcessEntry, Signals};

/// Clock ticks a second; Linux shows user space no other number.
const TICKS: u64 = 100;

const PAGE: u64 = 4096;

/// A process's arguments may be longer; nobody reads that many.
const FILE_BYTES: u64 = 64 << 10;

/// The processes among these that still exist, or their threads.
pub(crate) fn entries(pids: &[i32], of: Listed) -> Vec<ProcessEntry> {
    let Some(boot) = boot_unix_nanos() else { return Vec::new() };
    let lines = pids.iter().flat_map(|pid| match of {
        Listed::Processes => vec![entry(of, *pid, *pid, &format!("/proc/{pid}"), boot)],
        Listed::Threads => threads(*pid)
            .into_iter()
            .map(|thread| entry(of, *pid, thread, &format!("/proc/{pid}/task/{thread}"), boot))
            .collect(),
    });
    lines.flatten().collect()
}

fn threads(pid: i32) -> Vec<i32> {
    let names = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut all: Vec<i32> =
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    all.sort_unstable();
    all
}

fn entry(of: Listed, pid: i32, thread: i32, folder: &str, boot: i128) -> Option<ProcessEntry> {
    let read = |file: &str| {
        let file = std::fs::File::open(format!("{folder}/{file}")).ok()?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
        // A process names itself as it likes, and must not hide by that.
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let words = |text: String| text.split('\0').collect::<Vec<_>>().join(" ").trim_end().to_owned();
    let command = words(read("cmdline")?);
    let mut entry = parse(&read("stat")?, boot, unix_nanos())?;
    (entry.pid, entry.thread) = (pid, thread);
    take_status(&read("status")?, of, &mut entry)?;
    // What has ended has none any more.
    entry.environment = read("environ").map(words).unwrap_or_default();
    if !command.is_empty() {
        entry.command = command;
    }
    Some(entry)
}

/// A line of /proc/PID/stat. The name in parentheses may have anything in it.
fn parse(stat: &str, boot: i128, now: i128) -> Option<ProcessEntry> {
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of these is field 3 of the manual.
    let text = |field: usize| fields.get(field - 3).copied();
    let number = |field: usize| text(field)?.parse::<u64>().ok();
    let signed = |field: usize| text(field)?.parse::<i64>().ok();
    let id = |field: usize| text(field)?.parse::<i32>().ok();
    let ticks = number(14)? + number(15)?;
    let started = boot + i128::from(number(22)?) * 1_000_000_000 / i128::from(TICKS);
    let alive_ticks = (now - started).max(1) / (1_000_000_000 / i128::from(TICKS));
    let per_mille = i128::from(ticks) * 1000 / alive_ticks.max(1);
    Some(ProcessEntry {
        state: text(3)?.chars().next()?,
        parent: id(4)?,
        group: id(5)?,
        session: id(6)?,
        terminal: terminal(number(7)?),
        foreground: id(8)?,
        flags: number(9)?,
        minor_faults: number(10)?,
        major_faults: number(12)?,
        cpu_seconds: ticks / TICKS,
        cpu_per_mille: u64::try_from(per_mille).unwrap_or(0),
        priority: signed(18)?,
        nice: signed(19)?,
        threads: number(20)?,
        started_unix_nanos: started,
        virtual_size: number(23)?,
        resident: number(24)?.saturating_mul(PAGE),
        processor: number(39)?,
        // These are nothing where the reader may not look into the process.
        code_size: number(27).unwrap_or(0).saturating_sub(number(26).unwrap_or(0)),
        stack_start: number(28).unwrap_or(0),
        stack_pointer: number(29).unwrap_or(0),
        instruction_pointer: number(30).unwrap_or(0),
        // What the kernel of an old machine may not say.
        realtime_priority: number(40).unwrap_or(0),
        policy: number(41).unwrap_or(0),
        children_cpu_seconds: number(16).unwrap_or(0).saturating_add(number(17).unwrap_or(0))
            / TICKS,
        name: name.to_owned(),
        command: format!("[{name}]"),
        ..ProcessEntry::default()
    })
}

/// What only /proc/PID/status says: the users and groups, real first, and the signals.
fn take_status(status: &str, of: Listed, entry: &mut ProcessEntry) -> Option<()> {
    let numbers = |key: &str| -> Option<Vec<u64>> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.split_whitespace().filter_map(|number| number.parse().ok()).collect())
    };
    let pair = |key: &str| {
        let ids = numbers(key)?;
        Some((u32::try_from(*ids.first()?).ok()?, u32::try_from(*ids.get(1)?).ok()?))
    };
    (entry.uid, entry.effective_uid) = pair("Uid:")?;
    (entry.gid, entry.effective_gid) = pair("Gid:")?;
    let set = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
    };
    entry.signals = Signals {
        pending: set(if of == Listed::Threads { "SigPnd:" } else { "ShdPnd:" }),
        blocked: set("SigBlk:"),
        ignored: set("SigIgn:"),
        caught: set("SigCgt:"),
    };
    entry.has_locked_pages = numbers("VmLck:").is_some_and(|kib| kib.first() > Some(&0));
    Some(())
}

/// The device number of the controlling terminal in ps's words.
fn terminal(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        _ => "?".to_owned(),
    }
}

fn boot_unix_nanos() -> Option<i128> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(i128::from(seconds.trim().parse::<u64>().ok()?) * 1_000_000_000)
}

fn unix_nanos() -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(now.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use engine::ports::Listed;

    use super::{ProcessEntry, entries, parse, take_status};

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_confuse() {
        let stat = "7 (a) b (c) S 3 7 7 34816 7 4194304 1 0 2 0 150 50 200 100 20 0 1 0 500 \
                    8192 2 0 0 0 0 0 0 0 0 0 0 0 0 0 17 1 5 2 0 0 0";
        let entry = parse(stat, 1_000_000_000, 10_000_000_000).unwrap();
        assert_eq!((entry.parent, entry.cpu_seconds, entry.command.as_str()), (3, 2, "[a) b (c]"));
        assert_eq!((entry.started_unix_nanos, entry.terminal.as_str()), (6_000_000_000, "pts/0"));
        assert_eq!((entry.cpu_per_mille, entry.state, entry.processor), (500, 'S', 1));
        assert_eq!((entry.policy, entry.realtime_priority), (2, 5));
        assert_eq!(entry.children_cpu_seconds, 3);
        assert_eq!((entry.virtual_size, entry.resident, entry.foreground), (8192, 8192, 7));
    }

    /// What a kernel said of `sleep 300`, and ps then showed as TRS 17 and STACKP 00007fff69e6a1f0.
    #[test]
    fn memory_registers_and_signals_are_read_as_ps_does() {
        let stat = "20234 (sleep) S 20232 20229 32428 0 -1 4194304 118 0 0 0 0 0 0 0 20 0 1 0 \
                    168816 2990080 390 18446744073709551615 93996588302336 93996588320265 \
                    140734970110448 0 0 0 0 6 0 1 0 0 17 1 0 0 0 0 0 93996588334352 0";
        let mut entry = parse(stat, 0, 10_000_000_000_000).unwrap();
        assert_eq!((entry.code_size, entry.stack_start), (17_929, 0x7fff_69e6_a1f0));
        assert_eq!((entry.stack_pointer, entry.instruction_pointer), (0, 0));
        let status = "Uid:\t1\t2\t2\t2\nGid:\t3\t4\t4\t4\nSigQ:\t2/96365\n\
                      SigPnd:\t0000000000000200\nShdPnd:\t0000000000004000\n\
                      SigBlk:\t0000000000010000\nSigIgn:\t0000000000000006\n\
                      SigCgt:\tfffffffe7ffbfeff\n";
        for (of, pending) in [(Listed::Processes, 0x4000), (Listed::Threads, 0x200)] {
            take_status(status, of, &mut entry).unwrap();
            assert_eq!(entry.signals.pending, pending, "{of:?}");
        }
        assert_eq!((entry.signals.blocked, entry.signals.ignored), (0x10000, 6));
        assert_eq!(entry.signals.caught, 0xffff_fffe_7ffb_feff);
        assert_eq!(take_status("Uid:\t1\n", Listed::Processes, &mut ProcessEntry::default()), None);
    }

    #[test]
    fn a_process_has_the_variables_it_was_started_with() {
        let own = i32::try_from(std::process::id()).unwrap();
        let table = entries(&[own], Listed::Processes);
        let (name, value) = std::env::vars().find(|(_, value)| !value.is_empty()).unwrap();
        assert!(table[0].environment.contains(&format!("{name}={value}")), "{name}");
    }

    #[test]
    fn a_process_that_is_gone_is_left_out() {
        let own = i32::try_from(std::process::id()).unwrap();
        let table = entries(&[own, i32::MAX], Listed::Processes);
        assert_eq!(table.len(), 1);
        assert!(table[0].command.contains("engine_runtime"), "{table:?}");
    }

    #[test]
    fn each_thread_has_a_line() {
        let own = i32::try_from(std::process::id()).unwrap();
        let table = entries(&[own], Listed::Threads);
        // Tests run in a thread of their own.
        assert!(table.len() > 1 && table.iter().all(|entry| entry.pid == own), "{table:?}");
        assert_eq!(table[0].thread, own);
    }

    #[test]
    fn a_process_may_have_any_name() {
        let stat = "7 (a b) c) S 1 7 7 34816 7 0 0 0 0 0 1 2 0 0 20 0 1 0 300 0 0";
        fuzz::text_rounds(&[stat], |text| drop(parse(text, 0, i128::from(i64::MAX))));
    }
}
