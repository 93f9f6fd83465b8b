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

#[test]
fn capabilities_open_their_system_calls() {
    for (capability, name) in [
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_TIME", "clock_settime"),
        ("CAP_SYS_PTRACE", "pidfd_getfd"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_PERFMON", "perf_event_open"),
    ] {
        assert!(!allowed(&default_profile(&[], &MACHINE).unwrap(), name));
        assert!(allowed(&default_profile(&capabilities(&[capability]), &MACHINE).unwrap(), name));
    }
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
