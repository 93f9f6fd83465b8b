//! The kernel's capabilities by name and number.

use std::io;

/// In the kernel's order.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Every capability this process can hand on, for privileged containers.
pub(crate) fn all() -> io::Result<Vec<String>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    bounding(&status).map(named).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "an unreadable /proc/self/status")
    })
}

fn bounding(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn named(mask: u64) -> Vec<String> {
    let names = NAMES.iter().enumerate().filter(|(number, _)| mask >> number & 1 == 1);
    names.map(|(_, name)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_may_not_hand_on_is_left_out() {
        let mask = bounding("Name:\tx\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n").unwrap();
        let names = named(mask);
        assert_eq!(names.len(), 40);
        assert!(!names.contains(&"CAP_SYS_RESOURCE".to_owned()));
        assert_eq!(named(1 << 21), ["CAP_SYS_ADMIN"]);
        assert_eq!(named(u64::MAX).len(), 41);
        assert_eq!(bounding("nothing"), None);
    }
}
