//! Specifications as libcontainer gets them.

use libcontainer::oci_spec::runtime::Spec;

use super::*;

fn spec() -> ContainerSpec {
    let text = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    ContainerSpec {
        id: "ab".repeat(32),
        root: engine::ports::RootFilesystem { merged: "/merged".into(), ..Default::default() },
        hostname: "box".into(),
        args: text(&["sh", "-c", "true"]),
        env: text(&["PATH=/bin", "A=1"]),
        working_dir: "/w".into(),
        masked_paths: text(&["/proc/kcore"]),
        readonly_paths: text(&["/proc/sys"]),
        shm_size: 64 << 20,
        network_namespace: Some("/run/netns/x".into()),
        ..ContainerSpec::default()
    }
}

fn resolved() -> Resolved {
    Resolved {
        identity: Identity { uid: 0, gid: 0, groups: vec![0, 10], home: "/root".into() },
        capabilities: vec!["CAP_CHOWN".into(), "CAP_KILL".into()],
        seccomp: Some(json!({ "defaultAction": "SCMP_ACT_ERRNO" })),
        ..Resolved::default()
    }
}

fn destinations(document: &Value) -> Vec<&str> {
    let mounts = document["mounts"].as_array().unwrap();
    mounts.iter().map(|mount| mount["destination"].as_str().unwrap()).collect()
}

#[test]
fn a_default_container_is_dockers() {
    let document = specification(&spec(), &resolved());
    assert_eq!(
        document["process"],
        json!({
            "terminal": false,
            "user": { "uid": 0, "gid": 0, "umask": 18, "additionalGids": [0, 10] },
            "args": ["sh", "-c", "true"],
            "env": ["PATH=/bin", "A=1", "HOME=/root"],
            "cwd": "/w",
            "capabilities": {
                "bounding": ["CAP_CHOWN", "CAP_KILL"],
                "effective": ["CAP_CHOWN", "CAP_KILL"],
                "permitted": ["CAP_CHOWN", "CAP_KILL"],
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [],
            "oomScoreAdj": 0,
        })
    );
    assert_eq!(document["root"], json!({ "path": "/merged", "readonly": false }));
    assert_eq!(document["hostname"], "box");
    assert_eq!(
        document["linux"],
        json!({
            "cgroupsPath": format!("/docker/{}", "ab".repeat(32)),
            "namespaces": [
                { "type": "mount" },
                { "type": "network", "path": "/run/netns/x" },
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "cgroup" },
            ],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "sysctl": {
                "net.ipv4.ip_unprivileged_port_start": "0",
                "net.ipv4.ping_group_range": "0 2147483647",
            },
            "devices": [],
            "seccomp": { "defaultAction": "SCMP_ACT_ERRNO" },
        })
    );
    assert_eq!(
        document["mounts"],
        json!([
            { "destination": "/proc", "type": "proc", "source": "proc",
              "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
              "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"] },
        ])
    );
    serde_json::from_value::<Spec>(document).unwrap();
}

#[test]
fn a_privileged_container_has_everything() {
    let privileged = ContainerSpec { privileged: true, ..spec() };
    let disk = Node {
        path: "/dev/vda".into(),
        kind: "b",
        major: 254,
        minor: 0,
        mode: 0o660,
        uid: 0,
        gid: 6,
    };
    let resolved = Resolved { seccomp: None, devices: vec![disk], ..resolved() };
    let document = specification(&privileged, &resolved);
    let linux = &document["linux"];
    assert_eq!(linux["maskedPaths"], json!([]));
    assert_eq!(linux["readonlyPaths"], json!([]));
    assert_eq!(linux["seccomp"], Value::Null);
    assert_eq!(linux["devices"][0]["path"], "/dev/vda");
    assert_eq!(document["mounts"][3]["options"][3], "rw", "/sys");
    assert_eq!(document["mounts"][4]["options"][3], "rw", "/sys/fs/cgroup");
    serde_json::from_value::<Spec>(document).unwrap();
}

#[test]
fn other_users_hold_no_capabilities() {
    let resolved = Resolved {
        identity: Identity { uid: 1000, gid: 1000, groups: vec![1000], home: "/home/app".into() },
        ..resolved()
    };
    let document = specification(&spec(), &resolved);
    let capabilities = &document["process"]["capabilities"];
    assert_eq!(capabilities["bounding"], json!(["CAP_CHOWN", "CAP_KILL"]));
    for set in ["effective", "permitted", "inheritable", "ambient"] {
        assert_eq!(capabilities[set], json!([]), "{set}");
    }
}

#[test]
fn a_readonly_root_is_mounted_so() {
    let document = specification(&ContainerSpec { readonly_root: true, ..spec() }, &resolved());
    assert_eq!(document["root"]["readonly"], true);
}

#[test]
fn no_new_privileges_is_written_only_when_it_holds() {
    let document = specification(&spec(), &resolved());
    assert!(document["process"].get("noNewPrivileges").is_none());
    let strict = ContainerSpec { no_new_privileges: true, ..spec() };
    assert_eq!(specification(&strict, &resolved())["process"]["noNewPrivileges"], true);
}

#[test]
fn chosen_mounts_replace_the_default_ones() {
    let mount = |destination: &str| Mount {
        source: "/data".into(),
        destination: destination.into(),
        kind: "bind".into(),
        options: vec!["rbind".into()],
    };
    let one = ContainerSpec { mounts: vec![mount("/dev/shm/")], ..spec() };
    let document = specification(&one, &resolved());
    assert_eq!(destinations(&document).iter().filter(|d| d.starts_with("/dev/shm")).count(), 1);
    let all = ContainerSpec { mounts: vec![mount("/dev"), mount("/data")], ..spec() };
    let document = specification(&all, &resolved());
    assert_eq!(destinations(&document), ["/proc", "/sys", "/sys/fs/cgroup", "/dev", "/data"]);
}

#[test]
fn the_guests_namespaces_are_shared_by_leaving_them_out() {
    let host = ContainerSpec {
        network_namespace: None,
        pid: NamespaceMode::Host,
        uts: NamespaceMode::Host,
        ipc: NamespaceMode::Container("x".into()),
        ..spec()
    };
    let resolved = Resolved { joined: vec![("ipc", "/proc/7/ns/ipc".into())], ..resolved() };
    let document = specification(&host, &resolved);
    assert_eq!(
        document["linux"]["namespaces"],
        json!([{ "type": "mount" }, { "type": "cgroup" }, { "type": "ipc", "path": "/proc/7/ns/ipc" }])
    );
    assert_eq!(document["linux"]["sysctl"], json!({}), "the guest's are not touched");
    assert!(document.get("hostname").is_none(), "the guest's name is not touched");
}

#[test]
fn limits_are_named_as_the_kernel_does() {
    assert_eq!(
        rlimits(&[("nofile".into(), 1024, u64::MAX)]),
        json!([{ "type": "RLIMIT_NOFILE", "soft": 1024, "hard": u64::MAX }])
    );
}

#[test]
fn a_home_that_is_given_stays() {
    assert_eq!(with_home(&["HOME=/x".into()], "/root"), ["HOME=/x"]);
}
