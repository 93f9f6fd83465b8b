//! What separates a container from the guest: its tree of files, and the program that makes it.

use std::path::Path;

use engine::error::Kind;
use engine::ports::{ContainerSpec, Mount, NamespaceMode, Runtime};
use engine_runtime::NamespaceRuntime;
use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Pid;

use crate::SCRATCH;
use crate::containers::{exec_spec, finish, run, shell, spec, strings};

pub(crate) async fn all(runtime: &NamespaceRuntime) {
    mounts(runtime).await;
    proc_stays(runtime).await;
    anothers_processes(runtime).await;
    the_program_cannot_be_written(runtime).await;
    the_starter_is_replaced(runtime).await;
    nothing_of_the_guest_is_open(runtime).await;
    places_in_dev(runtime).await;
    mounts_that_show_elsewhere(runtime).await;
    volumes(runtime).await;
    a_link_that_leads_nowhere(runtime).await;
}

fn mount(kind: &str, source: &str, destination: &str, options: &[&str]) -> Mount {
    Mount {
        source: source.to_owned(),
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        options: strings(options),
        ..Mount::default()
    }
}

async fn mounts(runtime: &NamespaceRuntime) {
    let shared = Path::new(SCRATCH).join("shared");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("file"), "content\n").unwrap();
    let (directory, file) = (shared.to_str().unwrap(), shared.join("file"));
    let script =
        "cat /new/file /data/file; echo a > /new/file; echo b > /data/b; echo c > /t/c; echo d > /x
        grep -E ' /t ' /proc/mounts; cat /proc/sys/kernel/shmmax";
    let spec = ContainerSpec {
        readonly_root: true,
        mounts: vec![
            mount("bind", file.to_str().unwrap(), "/new/file", &["rbind", "rprivate", "ro"]),
            mount("bind", directory, "/data", &["rbind", "rprivate", "rw"]),
            mount("tmpfs", "tmpfs", "/t", &["noexec", "nosuid", "nodev", "size=64k"]),
        ],
        sysctls: [("kernel.shmmax".to_owned(), "4321".to_owned())].into(),
        ..shell(12, script)
    };
    let (_, stdout, stderr) = run(runtime, spec).await;

    assert!(stdout.starts_with("content\ncontent\n"), "{stdout}");
    assert!(stdout.contains("tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=64k"), "{stdout}");
    assert!(stdout.ends_with("4321\n"), "{stdout}");
    for refused in ["/new/file", "/x"] {
        let text = format!("can't create {refused}: Read-only file system");
        assert!(stderr.contains(&text), "{text:?} in {stderr}");
    }
    assert_eq!(std::fs::read_to_string(shared.join("b")).unwrap(), "b\n");
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
    println!("mounts");
}

async fn mounts_that_show_elsewhere(runtime: &NamespaceRuntime) {
    let source = Path::new(SCRATCH).join("joined");
    for folder in ["guest", "container"] {
        std::fs::create_dir_all(source.join(folder)).unwrap();
    }
    let guests = || std::fs::read_to_string("/proc/self/mounts").unwrap();
    for (propagation, container_sees, guest_sees) in
        [("rprivate", false, false), ("rslave", true, false), ("rshared", true, true)]
    {
        let bind = mount("bind", source.to_str().unwrap(), "/joined", &["rbind", propagation]);
        let script = "mount -t tmpfs inner /joined/container; echo; read line
            grep -c ' /joined/guest ' /proc/mounts; umount /joined/container";
        let before = guests();
        let spec = ContainerSpec {
            mounts: vec![bind],
            open_stdin: true,
            capabilities: strings(&["CAP_SYS_ADMIN"]),
            seccomp: engine::ports::Seccomp::Unconfined,
            ..shell(19, script)
        };
        let id = spec.id.clone();
        let mut process = runtime.create(spec).await.unwrap();
        let added: Vec<String> =
            guests().lines().filter(|line| !before.contains(*line)).map(str::to_owned).collect();
        assert_eq!(added.len(), 1, "nothing but its root shows: {added:?}");
        runtime.start(&id).await.unwrap();
        let mut stdout = process.io.stdout.take().unwrap();
        assert_eq!(stdout.peek().await.unwrap(), b"\n", "{propagation}");
        stdout.consume(1).await.unwrap();
        let place = source.join("container");
        assert_eq!(guests().contains(place.to_str().unwrap()), guest_sees, "{propagation}");
        let none = None::<&str>;
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("outer"), &source.join("guest"), Some("tmpfs"), flags, none)
            .unwrap();
        process.io.stdin.as_ref().unwrap().write_all(b"\n").await.unwrap();
        process.io.stdout = Some(stdout);
        let (_, stdout, _) = finish(runtime, process).await;
        assert_eq!(stdout, format!("{}\n", u8::from(container_sees)), "{propagation}");
        runtime.delete(&id).await.unwrap();
        nix::mount::umount(&source.join("guest")).unwrap();
        assert_eq!(guests(), before, "{propagation}");
    }
    println!("mounts that show elsewhere");
}

async fn volumes(runtime: &NamespaceRuntime) {
    let path = Path::new(SCRATCH).join("mounted");
    std::fs::create_dir_all(&path).unwrap();
    let volume = |kind: &str, device: &str, options: &str| engine::ports::VolumeMount {
        path: path.clone(),
        device: device.to_owned(),
        kind: kind.to_owned(),
        options: options.to_owned(),
    };
    let before = std::fs::read_to_string("/proc/self/mounts").unwrap();
    runtime.mount_volume(volume("tmpfs", "tmpfs", "size=1m,mode=700,noexec")).await.unwrap();
    std::fs::write(path.join("kept"), "in the volume").unwrap();
    let bind = mount("bind", path.to_str().unwrap(), "/data", &["rbind", "rprivate"]);
    let spec = ContainerSpec { mounts: vec![bind], ..shell(18, "cat /data/kept; df /data") };
    let (_, stdout, _) = run(runtime, spec).await;
    assert!(stdout.starts_with("in the volume") && stdout.contains(" 1024 "), "{stdout}");
    // A second one takes its place: nothing is left beneath.
    let source = Path::new(SCRATCH).join("image");
    runtime.mount_volume(volume("none", source.to_str().unwrap(), "bind,ro")).await.unwrap();
    assert!(path.join("etc/passwd").exists());
    let refused = std::fs::write(path.join("etc/new"), "").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    runtime.unmount_volume(&path).await.unwrap();
    runtime.unmount_volume(&path).await.unwrap();
    assert_eq!(std::fs::read_to_string("/proc/self/mounts").unwrap(), before);
    let error = runtime.mount_volume(volume("none", "/nosuch", "bind")).await.unwrap_err();
    let text = format!(
        "failed to mount local volume: mount /nosuch:{}, flags: 0x1000: no such file or directory",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    println!("volumes that are file systems");
}

async fn proc_stays(runtime: &NamespaceRuntime) {
    let shared = Path::new(SCRATCH).join("shared");
    let source = shared.to_str().unwrap();
    for destination in ["/proc", "/proc/sys", "/proc/self/attr", "/made/../proc"] {
        let mounts = vec![mount("bind", source, destination, &["rbind"])];
        let spec = ContainerSpec { mounts, ..spec(13, &["true"]) };
        let id = spec.id.clone();
        runtime.create(spec).await.unwrap_err();
        runtime.delete(&id).await.unwrap();
    }
    let sysctls = [("kernel.core_pattern".to_owned(), "|/x".to_owned())].into();
    let spec = ContainerSpec { sysctls, ..spec(13, &["true"]) };
    assert_eq!(runtime.create(spec).await.unwrap_err().kind(), Kind::InvalidArgument);
    println!("/proc stays the kernel's");
}

async fn anothers_processes(runtime: &NamespaceRuntime) {
    let first = spec(14, &["sleep", "1000"]);
    let id = first.id.clone();
    runtime.create(first).await.unwrap();
    runtime.start(&id).await.unwrap();
    let joining = ContainerSpec {
        pid: NamespaceMode::Container(id.clone()),
        uts: NamespaceMode::Container(id.clone()),
        ..shell(15, "cat /proc/1/cmdline; hostname")
    };
    let (_, stdout, _) = run(runtime, joining).await;
    assert_eq!(stdout, "sleep\x001000\x00box\n");
    // The one that forks is not left in there.
    let (_, stdout, _) = run(runtime, shell(15, "echo $$")).await;
    assert_eq!(stdout, "1\n");
    runtime.delete(&id).await.unwrap();
    println!("another container's namespaces");
}

async fn the_program_cannot_be_written(runtime: &NamespaceRuntime) {
    let waiting = spec(16, &["true"]);
    let id = waiting.id.clone();
    let process = runtime.create(waiting).await.unwrap();
    let program = format!("/proc/{}/exe", process.id.pid);
    assert!(statvfs(program.as_str()).unwrap().flags().contains(FsFlags::ST_RDONLY));
    runtime.delete(&id).await.unwrap();
    println!("nobody writes to the program");
}

async fn the_starter_is_replaced(runtime: &NamespaceRuntime) {
    let first = spec(17, &["sleep", "1000"]);
    let id = first.id.clone();
    runtime.create(first).await.unwrap();
    runtime.start(&id).await.unwrap();
    let starter = starter().unwrap();
    kill(starter, Signal::SIGKILL).unwrap();
    nix::sys::wait::waitpid(starter, None).unwrap();
    let process = runtime.exec(&id, exec_spec(1, "exit 7")).await.unwrap();
    assert_eq!(finish(runtime, process).await.0, 7);
    runtime.delete(&id).await.unwrap();
    println!("a starter that died is replaced");
}

async fn nothing_of_the_guest_is_open(runtime: &NamespaceRuntime) {
    let waiting = spec(18, &["sleep", "1000"]);
    let id = waiting.id.clone();
    let process = runtime.create(waiting).await.unwrap();
    let mut open = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", process.id.pid)).unwrap() {
        // The conversation is being closed at this very moment.
        open.extend(std::fs::read_link(entry.unwrap().path()));
    }
    let count =
        |start: &str| open.iter().filter(|it| it.to_string_lossy().starts_with(start)).count();
    let expected = [("/dev/null", 1), ("pipe:", 2), ("/run/machine/runtime/start/", 1)];
    for (start, number) in expected {
        assert_eq!(count(start), number, "{start}: {open:?}");
    }
    assert_eq!(open.len(), 4 + count("socket:"), "{open:?}");
    assert!(count("socket:") < 2, "{open:?}");

    runtime.start(&id).await.unwrap();
    // Of which file system it is: the container's own /dev.
    let script = "[ $(stat -c %d /proc/self/fd/0 -L) = $(stat -c %d /dev) ] && ls /proc/self/fd";
    let process = runtime.exec(&id, exec_spec(1, script)).await.unwrap();
    assert_eq!(finish(runtime, process).await, (0, "0\n1\n2\n3\n".into(), String::new()));
    for number in 3..16 {
        let mut exec = exec_spec(number, "pwd");
        exec.working_dir = format!("/proc/self/fd/{number}");
        assert_eq!(runtime.exec(&id, exec).await.unwrap_err().kind(), Kind::InvalidArgument);
    }
    runtime.delete(&id).await.unwrap();
    for number in 3..16 {
        let working_dir = format!("/proc/self/fd/{number}");
        let spec = ContainerSpec { working_dir, ..spec(18, &["pwd"]) };
        assert_eq!(runtime.create(spec).await.unwrap_err().kind(), Kind::InvalidArgument);
    }
    println!("nothing of the guest is open");
}

async fn places_in_dev(runtime: &NamespaceRuntime) {
    let mounts = vec![mount("bind", "/dev/zero", "/dev/random", &["rbind"])];
    let spec = ContainerSpec { mounts, ..shell(19, "head -c 3 /dev/random | wc -c") };
    assert_eq!(run(runtime, spec).await, (0, "3\n".into(), String::new()));

    // A volume as /dev, with a FIFO where the console belongs.
    let dev = Path::new(SCRATCH).join("dev");
    std::fs::create_dir_all(&dev).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    for (name, kind, device) in [
        ("console", rustix::fs::FileType::Fifo, 0),
        ("null", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
    ] {
        rustix::fs::mknodat(rustix::fs::CWD, dev.join(name), kind, mode, device).unwrap();
    }
    let mounts = vec![mount("bind", dev.to_str().unwrap(), "/dev", &["rbind"])];
    let spec = ContainerSpec {
        mounts,
        stdio: engine::ports::StdioKind::Terminal,
        ..shell(19, "[ -c /dev/console ]")
    };
    // It has no terminals of its own then, and says so instead of waiting.
    runtime.create(spec).await.unwrap_err();
    println!("places in /dev");
}

async fn a_link_that_leads_nowhere(runtime: &NamespaceRuntime) {
    let source = Path::new(SCRATCH).join("shared/file");
    let mounts = vec![mount("bind", source.to_str().unwrap(), "/etc/resolv.conf", &["rbind"])];
    let spec = ContainerSpec { mounts, ..shell(20, "cat /run/there/resolv.conf") };
    std::fs::create_dir_all(spec.root.upper.join("etc")).unwrap();
    let link = spec.root.upper.join("etc/resolv.conf");
    std::os::unix::fs::symlink("../run/there/resolv.conf", link).unwrap();
    assert_eq!(run(runtime, spec).await, (0, "content\n".into(), String::new()));
    println!("a link that leads nowhere");
}

/// A child of this process, which stands in for PID 1.
fn starter() -> Option<Pid> {
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
    let all = children.unwrap();
    all.split_whitespace().find_map(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name == "starter\n").then(|| Pid::from_raw(pid.parse().unwrap()))
    })
}
