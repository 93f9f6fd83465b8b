//! Kernel settings of a container: only those that its own namespaces have copies of.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, openat};

/// Settings of an IPC namespace, beside all of `fs.mqueue`.
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// Which namespaces of its own a container has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    pub(crate) network: bool,
    pub(crate) ipc: bool,
    pub(crate) uts: bool,
}

/// Why a setting is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SysctlError {
    #[error("sysctl {0:?} is not allowed")]
    Name(String),
    #[error("sysctl {0:?} is not allowed in the host's {1} namespace")]
    HostNamespace(String, &'static str),
    #[error("sysctl {0:?} is not in a separate kernel namespace")]
    NotSeparate(String),
}

/// Checks a name, which may be written with dots or slashes.
pub(crate) fn check(name: &str, own: Own) -> Result<(), SysctlError> {
    let honest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    if !honest || name.contains("..") || name.contains("//") {
        return Err(SysctlError::Name(name.to_owned()));
    }
    let dotted = name.replace('/', ".");
    let (known, namespace) = if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        (own.ipc, "ipc")
    } else if dotted.starts_with("net.") {
        (own.network, "network")
    } else if dotted == "kernel.domainname" {
        (own.uts, "uts")
    } else {
        return Err(SysctlError::NotSeparate(name.to_owned()));
    };
    match known {
        true => Ok(()),
        false => Err(SysctlError::HostNamespace(name.to_owned(), namespace)),
    }
}

/// Sets one for the namespaces of this process. `proc` is any /proc. As with sysctl(8), a name that
/// is written with slashes may have dots in its parts.
pub(crate) fn set(proc: &OwnedFd, name: &str, value: &str) -> io::Result<()> {
    let name = if name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
    let path = PathBuf::from("sys").join(name);
    let file = openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    io::Write::write_all(&mut std::fs::File::from(file), value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Own = Own { network: true, ipc: true, uts: true };

    #[test]
    fn names_that_are_other_paths_are_refused() {
        for name in ["kernel.shm+kernel.core_pattern", "a=b", "net/../kernel/x", "net ipv4"] {
            assert_eq!(check(name, ALL), Err(SysctlError::Name(name.to_owned())));
        }
    }

    #[test]
    fn settings_of_the_whole_guest_are_refused() {
        for name in ["kernel.core_pattern", "vm.swappiness", "kernel.hostname", "user.max_pid"] {
            assert_eq!(check(name, ALL), Err(SysctlError::NotSeparate(name.to_owned())));
        }
    }

    #[test]
    fn a_setting_needs_its_namespace() {
        let none = Own { network: false, ipc: false, uts: false };
        for name in ["net.ipv4.ip_forward", "net/core/somaxconn", "kernel.sem", "fs.mqueue.x"] {
            check(name, ALL).unwrap();
            assert!(matches!(check(name, none), Err(SysctlError::HostNamespace(..))), "{name}");
        }
    }
}
