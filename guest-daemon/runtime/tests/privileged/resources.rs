//! Control groups, devices, shared memory and users, on a real kernel.

use std::path::Path;

use engine::error::Kind;
use engine::ports::{
    Cgroup, ContainerSpec, Device, DeviceAccess, ExecSpec, Mount, NamespaceMode, Runtime,
    SharedMemory, StdioKind, Throttle, Throttled, UserMap,
};
use engine_runtime::NamespaceRuntime;

use crate::containers::{exec_spec, finish, run, shell};

pub(crate) async fn all(runtime: &NamespaceRuntime) {
    pausing(runtime).await;
    other_limits(runtime).await;
    a_group_elsewhere(runtime).await;
    given_devices(runtime).await;
    shared_memory(runtime).await;
    other_users(runtime).await;
}

async fn pausing(runtime: &NamespaceRuntime) {
    let spec = shell(30, "while :; do :; done");
    let id = spec.id.clone();
    let process = runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    runtime.pause(&id).await.unwrap();
    let used = runtime.usage(&id).await.unwrap();
    let later = runtime.usage(&id).await.unwrap();
    assert_eq!(used.cpu.total, later.cpu.total, "it stands still");
    let found = crate::containers::runtime().recover().await.unwrap();
    assert!(found.iter().any(|it| it.container == id && it.paused));
    runtime.resume(&id).await.unwrap();
    while runtime.usage(&id).await.unwrap().cpu.total == later.cpu.total {}
    runtime.pause(&id).await.unwrap();
    runtime.kill_all(&id).await.unwrap();
    assert_eq!(runtime.wait(process.id).await.unwrap().code, 137, "a paused one can be killed");
    runtime.delete(&id).await.unwrap();
    println!("pausing");
}

async fn other_limits(runtime: &NamespaceRuntime) {
    let controllers = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    if !controllers.contains("memory") {
        println!("other limits: this host has its controllers in version 1");
        return;
    }
    let cgroup = Cgroup { memory: 64 << 20, pids_limit: 100, ..Cgroup::default() };
    let spec = ContainerSpec { cgroup: cgroup.clone(), ..shell(31, "sleep 1000") };
    let id = spec.id.clone();
    runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    assert_eq!(runtime.usage(&id).await.unwrap().memory.limit, 64 << 20);
    let change = Cgroup { memory: 32 << 20, pids_limit: -1, ..cgroup };
    runtime.update(&id, &change).await.unwrap();
    let usage = runtime.usage(&id).await.unwrap();
    assert_eq!((usage.memory.limit, usage.process_limit), (32 << 20, u64::MAX));
    assert!(usage.memory.bytes > 0 && usage.cpu.total > 0 && usage.cpu.system > 0);

    // More than it may have: the shell stays, the process does not.
    let hungry = exec_spec(1, "x=$(head -c 64m /dev/zero | tr '\\0' x); echo survived");
    let process = runtime.exec(&id, hungry).await.unwrap();
    assert!(runtime.memory_kills(&id, 0).await.unwrap() > 0);
    finish(runtime, process).await;
    runtime.delete(&id).await.unwrap();

    let path = "/dev/nosuch".to_owned();
    let throttle = Throttle { path, what: Throttled::Reads, rate: 1 };
    let cgroup = Cgroup { throttles: vec![throttle], ..Cgroup::default() };
    let error = runtime.create(ContainerSpec { cgroup, ..shell(31, "true") }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.to_string(), "stat /dev/nosuch: no such file or directory");
    println!("other limits");
}

async fn a_group_elsewhere(runtime: &NamespaceRuntime) {
    let cgroup = Cgroup { parent: "/machine-test/deep".into(), ..Cgroup::default() };
    let spec = ContainerSpec { cgroup, ..shell(32, "sleep 1000") };
    let id = spec.id.clone();
    runtime.create(spec).await.unwrap();
    let group = Path::new("/sys/fs/cgroup/machine-test/deep").join(&id);
    assert_eq!(std::fs::read_to_string(group.join("cgroup.procs")).unwrap().lines().count(), 1);
    runtime.delete(&id).await.unwrap();
    assert!(!Path::new("/sys/fs/cgroup/machine-test").exists(), "nothing of it is left");
    println!("a group elsewhere");
}

async fn given_devices(runtime: &NamespaceRuntime) {
    let access = DeviceAccess { read: true, ..DeviceAccess::default() };
    let device = |source: &str, destination: &str| Device {
        source: source.into(),
        destination: destination.into(),
        access,
    };
    let script = "head -c 3 /dev/more/nothing | wc -c; ls -l /dev/more/nothing | cut -c1
        (echo x >/dev/kmsg) 2>&1";
    let devices = vec![device("/dev/zero", "/dev/more/nothing"), device("/dev/kmsg", "/dev/kmsg")];
    let (_, stdout, stderr) = run(runtime, ContainerSpec { devices, ..shell(33, script) }).await;
    assert!(stdout.starts_with("3\nc\n"), "{stdout}{stderr}");
    assert!(stdout.contains("Operation not permitted"), "{stdout}{stderr}");
    let devices = vec![device("/dev/nosuch", "/dev/x")];
    let error = runtime.create(ContainerSpec { devices, ..shell(33, "true") }).await.unwrap_err();
    assert!(error.to_string().ends_with("\"/dev/nosuch\": no such file or directory"), "{error}");
    println!("devices that were asked for");
}

async fn shared_memory(runtime: &NamespaceRuntime) {
    let donor = ContainerSpec {
        shm: SharedMemory::Shareable,
        ..shell(34, "echo shared >/dev/shm/x; sleep 1000")
    };
    let id = donor.id.clone();
    runtime.create(donor).await.unwrap();
    runtime.start(&id).await.unwrap();
    let ipc = NamespaceMode::Container(id.clone());
    let script = "until [ -e /dev/shm/x ]; do :; done; cat /dev/shm/x; df /dev/shm | tail -1";
    let (_, stdout, _) = run(runtime, ContainerSpec { ipc, ..shell(35, script) }).await;
    assert!(stdout.starts_with("shared\n") && stdout.contains("65536"), "{stdout}");
    runtime.delete(&id).await.unwrap();
    let alone = shell(34, "sleep 1000");
    runtime.create(alone).await.unwrap();
    let ipc = NamespaceMode::Container(id.clone());
    let error = runtime.create(ContainerSpec { ipc, ..shell(35, "true") }).await.unwrap_err();
    assert!(error.to_string().contains("non-shareable IPC"), "{error}");
    runtime.delete(&id).await.unwrap();
    let none = ContainerSpec { shm: SharedMemory::Absent, ..shell(34, "ls /dev/shm") };
    assert_ne!(run(runtime, none).await.0, 0);
    println!("shared memory");
}

async fn other_users(runtime: &NamespaceRuntime) {
    let volume = Path::new(crate::SCRATCH).join("owned");
    std::fs::create_dir_all(&volume).unwrap();
    let mount = |destination: &str, of_container| Mount {
        source: volume.to_str().unwrap().into(),
        destination: destination.into(),
        kind: "bind".into(),
        options: vec!["rbind".into()],
        of_container,
        ..Mount::default()
    };
    let script = "id -u; cat /proc/self/uid_map; echo made >file; echo made >/v/file
        stat -c %u /bin/sh /dev /dev/shm file /v/file /guest/file
        head -c 1 /dev/zero >/dev/null && echo device; (echo x >/guest/mine) 2>&1
        (mknod /tmp/null c 1 3) 2>&1; sleep 1000";
    let users = Some(UserMap { first: 100_000, count: 65_536 });
    let spec = ContainerSpec {
        users,
        mounts: vec![mount("/v", true), mount("/guest", false)],
        ..shell(38, script)
    };
    let (id, upper) = (spec.id.clone(), spec.root.upper.clone());
    let mut process = runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    let exec = |user: &str| ExecSpec {
        user: user.into(),
        ..exec_spec(1, "id -u; echo x >/tmp/x$(id -u)")
    };
    let root = runtime.exec(&id, exec("")).await.unwrap();
    assert_eq!(finish(runtime, root).await.1, "0\n");
    runtime.forget_exec(&id, &exec("").id).await.unwrap();
    let terminal = ExecSpec { stdio: StdioKind::Terminal, ..exec("app") };
    let app = runtime.exec(&id, terminal).await.unwrap();
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", app.id.pid)).unwrap_or_default();
    assert!(status.is_empty() || status.contains("Uid:\t101000"), "{status}");
    assert!(finish(runtime, app).await.1.starts_with("1000\r\n"));
    runtime.kill_all(&id).await.unwrap();
    let out = crate::containers::read_all(process.io.stdout.take()).await;
    let err = crate::containers::read_all(process.io.stderr.take()).await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "0", "{out}{err}");
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    assert_eq!(lines[2..8], ["0", "0", "0", "0", "0", "65534"], "{out}{err}");
    assert_eq!(lines[8], "device");
    assert!(out.contains("can't create /guest/mine: Permission denied"), "{out}{err}");
    assert!(out.contains("mknod: /tmp/null: Operation not permitted"), "{out}{err}");
    let owner = |path: std::path::PathBuf| {
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path).unwrap())
    };
    // On the disk they are as the container sees them.
    assert_eq!(owner(upper.join("made/here/file")), 0);
    assert_eq!(owner(volume.join("file")), 0);
    runtime.delete(&id).await.unwrap();
    println!("other users");
}
