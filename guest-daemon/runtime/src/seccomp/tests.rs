//! What the default profile allows, and how custom ones are read.

use super::*;

const MACHINE: Machine =
    Machine { architecture: "SCMP_ARCH_X86_64", go_name: "amd64", kernel: (6, 12) };

fn capabilities(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn allowed(profile: &Value, name: &str) -> bool {
    rules(profile, name)
        .any(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule.get("args").is_none())
}

fn rules<'a>(profile: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    profile["syscalls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(move |rule| rule["names"].as_array().unwrap().iter().any(|n| n == name))
}

#[test]
fn the_default_profile_refuses_what_is_not_listed() {
    let profile = default_profile(&capabilities(&["CAP_CHOWN"]), &MACHINE).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(profile["defaultErrnoRet"], 1);
    assert_eq!(
        profile["architectures"],
        json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    );
    for name in ["read", "execve", "openat2", "ptrace", "arch_prctl", "modify_ldt", "statmount"] {
        assert!(allowed(&profile, name), "{name}");
    }
    for name in [
        "mount",
        "unshare",
        "keyctl",
        "add_key",
        "init_module",
        "io_uring_setup",
        "reboot",
        "bpf",
        "userfaultfd",
        "kexec_load",
        "open_by_handle_at",
        "set_tls",
        "chroot",
    ] {
        assert!(!allowed(&profile, name), "{name}");
    }
    assert_eq!(profile["syscalls"][0]["names"].as_array().unwrap().len(), 364);
}

#[test]
fn sockets_to_hypervisors_and_kernel_cryptography_are_refused() {
    const AF_UNIX: u64 = 1;
    const AF_INET6: u64 = 10;
    const AF_NETLINK: u64 = 16;
    const AF_ALG: u64 = 38;
    const AF_VSOCK: u64 = 40;
    let profile = default_profile(&[], &MACHINE).unwrap();
    let allows = |domain: u64| {
        rules(&profile, "socket").any(|rule| {
            let argument = &rule["args"][0];
            assert_eq!(argument["index"], 0);
            let value = argument["value"].as_u64().unwrap();
            if argument["op"] == "SCMP_CMP_LT" { domain < value } else { domain == value }
        })
    };
    for domain in [AF_UNIX, AF_INET6, AF_NETLINK, 17, 31] {
        assert!(allows(domain), "{domain}");
    }
    assert!(!allows(AF_ALG));
    assert!(!allows(AF_VSOCK));
    assert!(!allows(12), "a removed one");
}

#[test]
fn new_namespaces_need_the_capability() {
    let without = default_profile(&[], &MACHINE).unwrap();
    let clone3 = rules(&without, "clone3").next().unwrap();
    assert_eq!((&clone3["action"], &clone3["errnoRet"]), (&json!("SCMP_ACT_ERRNO"), &json!(38)));
    let clone = rules(&without, "clone").next().unwrap();
    assert_eq!(clone["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
    assert_eq!(clone["args"][0]["value"], 0x7E02_0000, "the mask");
    assert_eq!(clone["args"][0]["valueTwo"], 0);

    let with = default_profile(&capabilities(&["CAP_SYS_ADMIN"]), &MACHINE).unwrap();
    for name in ["clone", "clone3", "mount", "unshare", "bpf"] {
        assert!(allowed(&with, name), "{name}");
    }
    assert_eq!(rules(&with, "clone3").count(), 1);
}

/// What Docker's profile allows beyond the list for everybody to who has a capability.
const BY_CAPABILITY: [(&str, &[&str]); 13] = [
    ("CAP_BPF", &["bpf"]),
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_PERFMON", &["perf_event_open"]),
    (
        "CAP_SYS_ADMIN",
        &[
            "bpf",
            "clone",
            "clone3",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "lsm_get_self_attr",
            "lsm_list_modules",
            "lsm_set_self_attr",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "syslog",
            "umount",
            "umount2",
            "unshare",
        ],
    ),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    ("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("CAP_SYS_PACCT", &["acct"]),
    ("CAP_SYS_PTRACE", &["kcmp", "pidfd_getfd", "process_madvise"]),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    ("CAP_SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
];

#[test]
fn each_capability_opens_its_system_calls_and_no_others() {
    let names = |profile: &Value| -> std::collections::BTreeSet<String> {
        let rules = profile["syscalls"].as_array().unwrap().iter();
        rules
            .filter(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule.get("args").is_none())
            .flat_map(|rule| rule["names"].as_array().unwrap().clone())
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let everybody = names(&default_profile(&[], &MACHINE).unwrap());
    for (capability, opened) in BY_CAPABILITY {
        let with = names(&default_profile(&capabilities(&[capability]), &MACHINE).unwrap());
        let more: Vec<&String> = with.difference(&everybody).collect();
        assert_eq!(more, opened, "{capability}");
    }
    let syslog = names(&default_profile(&capabilities(&["CAP_SYSLOG"]), &MACHINE).unwrap());
    assert_eq!(syslog.difference(&everybody).collect::<Vec<_>>(), ["syslog"]);
    for capability in ["CAP_CHOWN", "CAP_NET_ADMIN", "CAP_MKNOD", "CAP_SYS_RESOURCE"] {
        let with = names(&default_profile(&capabilities(&[capability]), &MACHINE).unwrap());
        assert_eq!(with, everybody, "{capability}");
    }
}

#[test]
fn only_harmless_personalities_are_taken() {
    let profile = default_profile(&[], &MACHINE).unwrap();
    let taken: Vec<u64> = rules(&profile, "personality")
        .map(|rule| rule["args"][0]["value"].as_u64().unwrap())
        .collect();
    assert_eq!(taken, [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff]);
}

#[test]
fn a_custom_profile_is_read_in_dockers_form() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"name": "chmod", "action": "SCMP_ACT_ERRNO", "args": null},
            {"names": ["a"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "6.13"}},
            {"names": ["b"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "6.12"}, "excludes": {}},
            {"names": ["c"], "action": "SCMP_ACT_ERRNO", "includes": {"arches": ["arm64"]}}
        ]}"#;
    let profile = custom_profile(text, &[], &MACHINE).unwrap();
    assert_eq!(
        profile["syscalls"],
        json!([
            {"names": ["chmod"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["b"], "action": "SCMP_ACT_ERRNO"},
        ])
    );
}

#[test]
fn broken_profiles_are_refused() {
    for (text, message) in [
        ("{", "decoding seccomp profile failed"),
        (r#"{"syscalls": []}"#, "decoding seccomp profile failed"),
        (
            r#"{"defaultAction": "A", "architectures": ["x"], "archMap": [{"architecture": "y"}]}"#,
            "both 'architectures' and 'archMap' are specified in the seccomp profile",
        ),
        (
            r#"{"defaultAction": "A", "syscalls": [{"action": "B"}]}"#,
            "use either 'name' or 'names' in a seccomp rule",
        ),
    ] {
        assert_eq!(custom_profile(text, &[], &MACHINE).unwrap_err().to_string(), message);
    }
}

#[test]
fn kernel_versions_are_read_from_releases() {
    assert_eq!(version("6.12.41-machine"), Some((6, 12)));
    assert_eq!(version("4.8"), Some((4, 8)));
    assert_eq!(version("six"), None);
}

#[test]
fn a_damaged_profile_is_used_or_refused() {
    let small = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"flags":["SECCOMP_FILTER_FLAG_LOG"],
        "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
        "syscalls":[{"names":["read","clone"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"},
        "args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
    fuzz::text_rounds(&[small, DEFAULT_PROFILE], |text| {
        drop(custom_profile(text, &capabilities(&["CAP_CHOWN"]), &MACHINE));
    });
}
