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

/// A set with these; an error is the first name that is none.
pub(crate) fn set(names: &[String]) -> Result<u64, &str> {
    let number = |name: &String| NAMES.iter().position(|known| known == name);
    names.iter().try_fold(0, |set, name| Ok(set | 1 << number(name).ok_or(name.as_str())?))
}

/// Every capability this process can hand on, for privileged containers.
pub(crate) fn all() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    bounding(&status).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "an unreadable /proc/self/status")
    })
}

fn bounding(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_may_hand_on_is_in_its_status() {
        let status = "Name:\tx\nCapBnd:\t000001fffeffffff\nCapAmb:\t0\n";
        assert_eq!(bounding(status), Some(0x01ff_feff_ffff));
        assert_eq!(bounding("nothing"), None);
    }

    #[test]
    fn names_become_the_kernels_numbers() {
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_eq!(set(&names(&["CAP_CHOWN", "CAP_SYS_ADMIN"])), Ok(1 | 1 << 21));
        assert_eq!(set(&names(&["CAP_CHECKPOINT_RESTORE"])), Ok(1 << 40));
        assert_eq!(set(&names(&["CAP_CHOWN", "CAP_FLY"])), Err("CAP_FLY"));
        assert_eq!(set(&[]), Ok(0));
    }
}
