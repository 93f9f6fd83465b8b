//! What a container has used: the counters of its control group and of its network.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use engine::ports::{
    CpuUsage, DeviceUsage, InterfaceUsage, MemoryUsage, ProcessId, Traffic, Usage,
};

use crate::cgroup::counter;

/// Clock ticks a second; Linux shows user space no other number.
const NANOS_A_TICK: u64 = 1_000_000_000 / 100;

/// What of memory.stat clients are shown.
const MEMORY_DETAILS: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

/// Of a group, and of the network that its first process is in. `NotFound` when either is gone.
pub(crate) fn of(group: &Path, first: ProcessId) -> io::Result<Usage> {
    let networks = fs::read_to_string(format!("/proc/{}/net/dev", first.pid))?;
    // Read before the check: then it was this process's.
    if guest_process::start_time(first.pid)? != first.start_time {
        return Err(io::ErrorKind::NotFound.into());
    }
    let cpu = fs::read_to_string(group.join("cpu.stat"))?;
    let system = fs::read_to_string("/proc/stat")?;
    // A kernel need not have every controller.
    let read = |file: &str| fs::read_to_string(group.join(file)).unwrap_or_default();
    Ok(Usage {
        cpu: self::cpu(&cpu, &system),
        memory: MemoryUsage {
            bytes: number(&read("memory.current")),
            limit: number(&read("memory.max")),
            failures: counter(&read("memory.events"), "oom").unwrap_or(0),
            details: details(&read("memory.stat")),
        },
        devices: read("io.stat").lines().filter_map(device).collect(),
        processes: number(&read("pids.current")),
        process_limit: number(&read("pids.max")),
        networks: self::networks(&networks),
    })
}

fn cpu(stat: &str, system: &str) -> CpuUsage {
    let value = |name| counter(stat, name).unwrap_or(0);
    let all = system.lines().find_map(|line| line.strip_prefix("cpu "));
    // The last two are in others already.
    let ticks: u64 = all.map_or(0, |all| {
        all.split_whitespace().take(7).filter_map(|it| it.parse::<u64>().ok()).sum()
    });
    let online = system
        .lines()
        .filter_map(|line| line.strip_prefix("cpu"))
        .filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        .count();
    CpuUsage {
        total: value("usage_usec") * 1000,
        user: value("user_usec") * 1000,
        kernel: value("system_usec") * 1000,
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value("throttled_usec") * 1000,
        system: ticks * NANOS_A_TICK,
        online_cpus: u32::try_from(online).unwrap_or(u32::MAX),
    }
}

/// `max` is no limit; nothing is 0.
fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

fn details(stat: &str) -> BTreeMap<String, u64> {
    MEMORY_DETAILS
        .iter()
        .map(|name| ((*name).to_owned(), counter(stat, name).unwrap_or(0)))
        .collect()
}

/// `254:0 rbytes=4096 wbytes=0 rios=1 …`
fn device(line: &str) -> Option<DeviceUsage> {
    let mut words = line.split_whitespace();
    let (major, minor) = words.next()?.split_once(':')?;
    let mut usage =
        DeviceUsage { major: major.parse().ok()?, minor: minor.parse().ok()?, read: 0, written: 0 };
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        match name {
            "rbytes" => usage.read = value.parse().ok()?,
            "wbytes" => usage.written = value.parse().ok()?,
            _ => {}
        }
    }
    Some(usage)
}

/// The lines of /proc/net/dev: eight columns received, eight sent.
fn networks(dev: &str) -> BTreeMap<String, InterfaceUsage> {
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> =
            numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let traffic = |at: usize| {
            let [bytes, packets, errors, dropped] = *numbers.get(at..at + 4)? else { return None };
            Some(Traffic { bytes, packets, errors, dropped })
        };
        let usage = InterfaceUsage { received: traffic(0)?, sent: traffic(8)? };
        Some((name.trim().to_owned(), usage))
    };
    dev.lines().filter_map(interface).filter(|(name, _)| name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_in_nanoseconds() {
        let stat = "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 9\nthrottled_usec 1\n";
        let system = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n";
        let cpu = cpu(stat, system);
        assert_eq!((cpu.total, cpu.user, cpu.kernel), (5000, 3000, 2000));
        assert_eq!((cpu.periods, cpu.throttled_periods, cpu.throttled_time), (9, 0, 1000));
        assert_eq!((cpu.system, cpu.online_cpus), (28 * NANOS_A_TICK, 2));
    }

    #[test]
    fn no_limit_is_the_largest_number() {
        assert_eq!(number("max\n"), u64::MAX);
        assert_eq!(number("4096\n"), 4096);
        assert_eq!(number(""), 0);
    }

    #[test]
    fn only_known_details_of_memory_are_shown() {
        let details = details("anon 7\nzswapped 9\ninactive_file 3\n");
        assert_eq!((details["anon"], details["inactive_file"], details["sock"]), (7, 3, 0));
        assert_eq!(details.len(), 31);
    }

    #[test]
    fn devices_and_interfaces_are_found() {
        let read = DeviceUsage { major: 254, minor: 0, read: 4096, written: 8 };
        assert_eq!(device("254:0 rbytes=4096 wbytes=8 rios=1 wios=1 dbytes=0 dios=0"), Some(read));
        assert_eq!(device("nonsense"), None);
        let dev = "Inter-|   Receive\n face |bytes    packets\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 4 0 0 0 0 20 5 6 7 0 0 0 0\n";
        let networks = networks(dev);
        assert_eq!(networks.len(), 1);
        let eth0 = networks["eth0"];
        assert_eq!(eth0.received, Traffic { bytes: 10, packets: 2, errors: 3, dropped: 4 });
        assert_eq!(eth0.sent, Traffic { bytes: 20, packets: 5, errors: 6, dropped: 7 });
    }
}
