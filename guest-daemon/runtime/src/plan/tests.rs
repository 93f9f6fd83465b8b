//! Plans as the starter gets them.

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
        capabilities: 0b10_0001,
        filter_flags: Some(0),
        ..Resolved::default()
    }
}

fn destinations(request: &CreateRequest) -> Vec<&str> {
    request.mounts.iter().map(|mount| mount.destination.as_str()).collect()
}

fn options<'a>(request: &'a CreateRequest, destination: &str) -> &'a [String] {
    let mount = request.mounts.iter().find(|mount| mount.destination == destination).unwrap();
    &mount.options
}

const ALL_NEW: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

#[test]
fn a_default_container_is_dockers() {
    let request = container(&spec(), resolved());
    assert_eq!(request.process.env, ["PATH=/bin", "A=1", "HOME=/root"]);
    assert_eq!(request.process.cwd, "/w");
    assert_eq!(request.user, User { uid: 0, gid: 0, groups: vec![0, 10] });
    assert_eq!((request.process.terminal, request.process.capabilities), (None, 0b10_0001));
    assert_eq!(request.root, PathBuf::from("/merged"));
    assert!(!request.readonly_root);
    assert_eq!(
        destinations(&request),
        ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]
    );
    assert_eq!(options(&request, "/sys"), ["nosuid", "noexec", "nodev", "ro"]);
    assert!(options(&request, "/dev/shm").contains(&"size=67108864".to_owned()));
    assert_eq!(request.masked_paths, ["/proc/kcore"]);
    assert_eq!(request.readonly_paths, ["/proc/sys"]);
    assert_eq!(request.names, Some(("box".to_owned(), String::new())));
    assert_eq!((request.network, request.joined), (Some(PathBuf::from("/run/netns/x")), None));
    assert!(request.own_cgroup_namespace);
    assert_eq!(request.sysctls["net.ipv4.ip_unprivileged_port_start"], "0");
    assert_eq!(new_namespaces(&spec()), u64::from(ALL_NEW.cast_unsigned()));
}

#[test]
fn a_privileged_container_has_nothing_masked() {
    let spec = ContainerSpec { privileged: true, ..spec() };
    let request = container(&spec, resolved());
    assert_eq!(request.masked_paths, Vec::<String>::new());
    assert_eq!(request.readonly_paths, Vec::<String>::new());
    assert_eq!(options(&request, "/sys")[3], "rw");
    assert_eq!(options(&request, "/sys/fs/cgroup")[3], "rw");
}

#[test]
fn chosen_mounts_replace_the_default_ones() {
    let bind = |destination: &str| Mount {
        source: "/somewhere".into(),
        destination: destination.into(),
        kind: "bind".into(),
        options: vec!["rbind".into()],
        ..Mount::default()
    };
    let chosen = ContainerSpec { mounts: vec![bind("/dev/shm/"), bind("/data")], ..spec() };
    let request = container(&chosen, resolved());
    assert_eq!(destinations(&request)[5..], ["/dev/mqueue", "/dev/shm", "/data"]);
    assert_eq!(request.mounts[6].kind, "bind");
    let all = ContainerSpec { mounts: vec![bind("//dev")], ..spec() };
    let request = container(&all, resolved());
    assert_eq!(destinations(&request), ["/proc", "/sys", "/sys/fs/cgroup", "/dev"]);
}

#[test]
fn the_guests_namespaces_are_shared_by_not_making_new_ones() {
    let shared = ContainerSpec {
        network_namespace: None,
        pid: NamespaceMode::Host,
        ipc: NamespaceMode::Host,
        uts: NamespaceMode::Host,
        cgroup_namespace: NamespaceMode::Host,
        ..spec()
    };
    assert_eq!(new_namespaces(&shared), u64::from(libc::CLONE_NEWNS.cast_unsigned()));
    let more = Resolved { shared_memory: Some("/dev/shm".into()), ..resolved() };
    let request = container(&shared, more);
    assert_eq!((request.names.clone(), request.own_cgroup_namespace), (None, false));
    assert_eq!((&request.network, request.joined), (&None, None));
    assert!(request.sysctls.is_empty());
    assert_eq!(options(&request, "/dev/shm"), ["bind"]);
}

#[test]
fn anothers_namespaces_are_joined() {
    let other = NamespaceMode::Container("cd".repeat(32));
    let joining = ContainerSpec { pid: other.clone(), uts: other.clone(), ..spec() };
    let made = u64::from((libc::CLONE_NEWNS | libc::CLONE_NEWIPC).cast_unsigned());
    assert_eq!(new_namespaces(&joining), made);
    let more = Resolved { joined: Some(libc::CLONE_NEWUTS), ..resolved() };
    let request = container(&joining, more);
    assert_eq!(request.joined, Some(libc::CLONE_NEWUTS));
    assert_eq!(request.names, None);
}

#[test]
fn an_init_starts_the_program() {
    let more = Resolved { init: Some("/program".into()), ..resolved() };
    let request = container(&spec(), more);
    assert_eq!(request.process.args, ["/sbin/docker-init", "--", "sh", "-c", "true"]);
    let last = request.mounts.last().unwrap();
    assert_eq!((&*last.source, &*last.destination), ("/program", "/sbin/docker-init"));
    assert_eq!(last.options, ["bind", "ro"]);
}

#[test]
fn shared_memory_can_be_anothers_or_absent() {
    let absent = ContainerSpec { shm: SharedMemory::Absent, ..spec() };
    assert!(!destinations(&container(&absent, resolved())).contains(&"/dev/shm"));
    let more = Resolved { shared_memory: Some("/run/shm/x".into()), ..resolved() };
    assert_eq!(options(&container(&spec(), more), "/dev/shm"), ["bind"]);
}

#[test]
fn only_control_groups_are_writable_when_that_is_asked_for() {
    let spec = ContainerSpec { writable_cgroups: true, ..spec() };
    let request = container(&spec, resolved());
    assert_eq!(
        (&*options(&request, "/sys/fs/cgroup")[3], &*options(&request, "/sys")[3]),
        ("rw", "ro")
    );
}

#[test]
fn a_terminal_has_the_size_that_was_asked_for() {
    let spec = ContainerSpec {
        stdio: StdioKind::Terminal,
        terminal_size: engine::ports::TerminalSize { rows: 25, columns: 80 },
        ..spec()
    };
    let request = container(&spec, resolved());
    assert_eq!(request.process.terminal, Some(Size { rows: 25, columns: 80 }));
}

#[test]
fn a_home_that_is_given_stays() {
    let env = ["HOME=/h".to_owned()];
    assert_eq!(with_home(&env, "/root"), ["HOME=/h"]);
}
