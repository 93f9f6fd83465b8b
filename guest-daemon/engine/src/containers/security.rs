//! What a container may do: capabilities, hidden paths, `--security-opt`. Data as in dockerd 28.

use crate::config::HostConfig;
use crate::error::{Error, Result};
use crate::ports::Seccomp;

const ALL: [&str; 41] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

const DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What `--security-opt` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecurityOptions {
    pub seccomp: Seccomp,
    pub no_new_privileges: bool,
    /// The container may arrange its own control groups.
    pub writable_cgroups: bool,
}

pub(super) fn masked_paths() -> Vec<String> {
    MASKED.map(String::from).to_vec()
}

pub(super) fn readonly_paths() -> Vec<String> {
    READ_ONLY.map(String::from).to_vec()
}

/// The capabilities of a container for which nothing else is asked.
pub fn default_capabilities() -> Vec<String> {
    DEFAULT.map(String::from).to_vec()
}

/// The capabilities that result from the defaults, `--cap-add`, `--cap-drop` and `--privileged`.
pub(crate) fn capabilities(host: &HostConfig) -> Result<Vec<String>> {
    if host.privileged {
        return Ok(ALL.map(String::from).to_vec());
    }
    let add = normalised(host.cap_add.as_deref(), "CapAdd")?;
    let drop = normalised(host.cap_drop.as_deref(), "CapDrop")?;
    let all = |list: &[String]| list.iter().any(|name| name == "ALL");
    let base: &[&str] = if all(&add) {
        &ALL
    } else if all(&drop) {
        &[]
    } else {
        &DEFAULT
    };
    let mut result: Vec<String> = base.iter().map(|name| (*name).to_owned()).collect();
    result.retain(|name| !drop.contains(name));
    for name in add {
        if name != "ALL" && !result.contains(&name) {
            result.push(name);
        }
    }
    Ok(result)
}

fn normalised(names: Option<&[String]>, field: &str) -> Result<Vec<String>> {
    names
        .unwrap_or_default()
        .iter()
        .map(|name| {
            let upper = name.trim().to_ascii_uppercase();
            let full = if upper == "ALL" || upper.starts_with("CAP_") {
                upper
            } else {
                format!("CAP_{upper}")
            };
            if full == "ALL" || ALL.contains(&full.as_str()) {
                Ok(full)
            } else {
                Err(Error::invalid(format!("invalid {field}: unknown capability: \"{full}\"")))
            }
        })
        .collect()
}

pub(crate) fn options(host: &HostConfig) -> Result<SecurityOptions> {
    let mut options = SecurityOptions::default();
    if host.privileged {
        options.seccomp = Seccomp::Unconfined;
        options.writable_cgroups = true;
    }
    for option in host.security_opt.as_deref().unwrap_or_default() {
        let (key, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
            Some((key, value)) => (key, Some(value)),
            None => (option.as_str(), None),
        };
        match (key, value) {
            ("writable-cgroups", None | Some("true" | "1")) => options.writable_cgroups = true,
            ("writable-cgroups", Some("false" | "0")) => options.writable_cgroups = false,
            ("no-new-privileges", None | Some("true" | "1")) => options.no_new_privileges = true,
            ("no-new-privileges", Some("false" | "0")) => options.no_new_privileges = false,
            ("seccomp", Some("unconfined")) => options.seccomp = Seccomp::Unconfined,
            ("seccomp", Some("builtin")) => options.seccomp = Seccomp::Default,
            ("seccomp", Some(profile)) if profile.trim_start().starts_with('{') => {
                options.seccomp = Seccomp::Profile(profile.to_owned());
            }
            ("seccomp", Some(_)) => {
                return Err(Error::invalid("Decoding seccomp profile failed: invalid JSON"));
            }
            // There is neither AppArmor nor SELinux here: see `warnings`.
            ("apparmor" | "label", Some(_)) | ("disable", None) => {}
            (_, None) => {
                return Err(Error::invalid(format!("invalid --security-opt 1: \"{option}\"")));
            }
            _ => return Err(Error::invalid(format!("invalid --security-opt 2: \"{option}\""))),
        }
    }
    Ok(options)
}

/// What was asked of a part of the kernel that is not there.
pub(super) fn warnings(host: &HostConfig) -> Vec<String> {
    let options = host.security_opt.iter().flatten();
    let asked = options.filter_map(|option| option.split_once(['=', ':']));
    asked
        .filter_map(|asked| match asked {
            ("apparmor", "" | "unconfined") | ("label", "" | "disable") => None,
            ("apparmor", _) => {
                Some("Your kernel does not support AppArmor. Profile discarded.".to_owned())
            }
            ("label", _) => {
                Some("Your kernel does not support SELinux. Label discarded.".to_owned())
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(add: &[&str], drop: &[&str], options: &[&str]) -> HostConfig {
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        HostConfig {
            cap_add: list(add),
            cap_drop: list(drop),
            security_opt: list(options),
            ..HostConfig::default()
        }
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        assert_eq!(capabilities(&HostConfig::default()).unwrap().len(), 14);
        let some = capabilities(&host(&["net_admin"], &["ALL"], &[])).unwrap();
        assert_eq!(some, ["CAP_NET_ADMIN"]);
        let most = capabilities(&host(&["ALL"], &["CAP_MKNOD"], &[])).unwrap();
        assert_eq!(most.len(), 40);
        let error = capabilities(&host(&["fly"], &[], &[])).unwrap_err();
        assert_eq!(error.to_string(), "invalid CapAdd: unknown capability: \"CAP_FLY\"");
        let privileged = HostConfig { privileged: true, ..HostConfig::default() };
        assert_eq!(capabilities(&privileged).unwrap().len(), 41);
    }

    #[test]
    fn security_options_are_honoured_or_refused() {
        let parsed =
            options(&host(&[], &[], &["no-new-privileges", "seccomp=unconfined"])).unwrap();
        assert!(parsed.no_new_privileges);
        assert_eq!(parsed.seccomp, Seccomp::Unconfined);
        assert!(options(&host(&[], &[], &["writable-cgroups=true"])).unwrap().writable_cgroups);
        assert!(options(&host(&[], &[], &["writable-cgroups=maybe"])).is_err());
        let elsewhere = host(&[], &[], &["apparmor=mine", "label:type:x", "label=disable"]);
        options(&elsewhere).unwrap();
        assert_eq!(warnings(&elsewhere).len(), 2);
        assert!(options(&host(&[], &[], &["nonsense"])).is_err());
    }
}
