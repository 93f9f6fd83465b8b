//! What this host has to give.

use machine_store::Store;

/// Processors, memory and room on the disk; what cannot be told is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub cpus: u32,
    /// What can be had without swapping.
    pub memory_mib: Option<u64>,
    /// What is free where machines are stored.
    pub disk_mib: Option<u64>,
}

impl Capacity {
    /// Asks the system.
    pub fn of_host(store: &Store) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let disk = rustix::fs::statvfs(store.layout().root()).ok();
        Self {
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            memory_mib: std::fs::read_to_string("/proc/meminfo")
                .ok()
                .and_then(|text| available(&text)),
            disk_mib: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >> 20),
        }
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn available_memory_is_read_from_meminfo() {
        let text = "MemTotal:       16318480 kB\nMemAvailable:    2097152 kB\n";
        assert_eq!(super::available(text), Some(2048));
        assert_eq!(super::available("MemTotal: 1 kB\n"), None);
    }
}
