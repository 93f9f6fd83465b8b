//! Kernel settings, host name and the files in /etc.

use std::fs;
use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, setrlimit};

use crate::console::event;
use crate::links::{ADDRESS, NAME_SERVER};
use crate::mounts::{create_directory, link};

/// What a container host needs, below /proc/sys. One that the kernel lacks is passed over.
const SYSCTLS: &[(&str, &str)] = &[
    // Containers are routed to the outside.
    ("net/ipv4/ip_forward", "1"),
    // Interfaces made later, bridges above all, believe no router; eth0 goes on believing the
    // one of QEMU.
    ("net/ipv6/conf/default/accept_ra", "0"),
    // Traffic within a bridge is not the firewall's business.
    ("net/bridge/bridge-nf-call-iptables", "0"),
    ("net/bridge/bridge-nf-call-ip6tables", "0"),
    // A new network namespace begins with `lo` alone, without the kernel's fallback tunnels.
    ("net/core/fb_tunnels_only_for_init_net", "1"),
    // Anybody may ping, so that images need no file capability for it.
    ("net/ipv4/ping_group_range", "0 2147483647"),
    // Many containers, each with its watchers; the defaults are for one user of a desktop.
    ("fs/inotify/max_user_instances", "8192"),
    ("fs/inotify/max_user_watches", "524288"),
    ("kernel/pid_max", "4194304"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/maxkeys", "20000"),
    // Search engines and databases refuse to start with the default.
    ("vm/max_map_count", "262144"),
    ("fs/protected_hardlinks", "1"),
    ("fs/protected_symlinks", "1"),
    ("kernel/core_pattern", "core"),
    // A dead kernel starts anew, which the host sees; it would hang for ever otherwise.
    ("kernel/panic", "-1"),
];

/// Open files per process, for the daemon and as the containers' default.
const OPEN_FILES: u64 = 1_048_576;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      docker:x:0:0:docker:/root:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\ndocker:x:999:docker\nnogroup:x:65534:\n";

/// Sets what can be set; a failure is logged and costs nothing else.
pub(crate) fn apply_sysctls() {
    for (name, value) in SYSCTLS {
        let path = Path::new("/proc/sys").join(name);
        if !path.exists() {
            continue;
        }
        if let Err(error) = fs::write(&path, value) {
            event!(Warn, "sysctl not set", name = name, because = error);
        }
    }
}

pub(crate) fn raise_limits() {
    let limits = [
        (Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (Resource::RLIMIT_CORE, 0, nix::sys::resource::RLIM_INFINITY),
        (
            Resource::RLIMIT_NPROC,
            nix::sys::resource::RLIM_INFINITY,
            nix::sys::resource::RLIM_INFINITY,
        ),
    ];
    for (resource, soft, hard) in limits {
        if let Err(error) = setrlimit(resource, soft, hard) {
            event!(Warn, "limit not set", limit = format!("{resource:?}"), because = error);
        }
    }
}

/// Writes the files of /etc and the paths that programs expect; before the root becomes
/// read-only.
pub(crate) fn write_files(machine: &str) -> io::Result<()> {
    nix::unistd::sethostname(machine)?;
    for (path, mode) in [("/etc", 0o755), ("/var/lib/docker", 0o710), ("/mnt", 0o755)] {
        create_directory(path, mode)?;
    }
    link("/run", "/var/run")?;
    link("/run/lock", "/var/lock")?;
    link("/proc/self/mounts", "/etc/mtab")?;
    fs::write("/etc/passwd", PASSWD)?;
    fs::write("/etc/group", GROUP)?;
    fs::write("/etc/hostname", format!("{machine}\n"))?;
    fs::write("/etc/resolv.conf", format!("nameserver {NAME_SERVER}\n"))?;
    fs::write(
        "/etc/hosts",
        format!(
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{ADDRESS}\t{machine}\n"
        ),
    )
}
