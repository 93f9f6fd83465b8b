//! What containers must be able to do, and what not.

use std::path::PathBuf;

use engine::error::Kind;
use engine::ports::{ContainerSpec, ExecSpec, Runtime, StdioKind, TerminalSize};
use engine_runtime::NamespaceRuntime;

use crate::SCRATCH;
use crate::containers::{exec_spec, finish, run, runtime, shell, spec, strings};
use crate::init::Init;

pub(crate) async fn all(init: Init) {
    let runtime = runtime();
    output_and_exit_code(&runtime).await;
    confinement(&runtime).await;
    users(&runtime).await;
    input(&runtime).await;
    terminal(&runtime).await;
    refusals(&runtime).await;
    privileged(&runtime).await;
    another_process(&runtime).await;
    the_next_daemon(&runtime).await;
    killing(&runtime).await;
    crate::files::all(&runtime).await;
    crate::images::all(&runtime).await;
    crate::isolation::all(&runtime).await;
    crate::resources::all(&runtime).await;
    assert_eq!(init.kept(), Vec::<String>::new(), "init keeps nothing");
    let left = |path: &str| {
        let path = PathBuf::from(SCRATCH).join(path);
        std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(left("runtime/start"), Vec::<std::ffi::OsString>::new());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("overlay /run/machine"), "{mounts}");
    // A dockerd of this host has its groups in the same place.
    let groups = std::fs::read_dir("/sys/fs/cgroup/docker").unwrap();
    let names = groups.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let ours: Vec<String> = names.filter(|name| name.starts_with(&"0".repeat(60))).collect();
    assert_eq!(ours, Vec::<String>::new());
    std::fs::remove_dir("/sys/fs/cgroup/docker").ok();
    println!("nothing is left");
}

async fn output_and_exit_code(runtime: &NamespaceRuntime) {
    let result = run(runtime, shell(1, "echo out; echo err >&2; exit 42")).await;
    assert_eq!(result, (42, "out\n".into(), "err\n".into()));
    let result = run(runtime, spec(1, &["env"])).await;
    assert_eq!(result.1, "PATH=/usr/bin:/bin\nZ=1\nA=2\nHOME=/root\n", "in this order");
    let result = run(runtime, shell(1, "pwd; hostname")).await;
    assert_eq!(result.1, "/made/here\nbox\n");
    let result = run(runtime, spec(1, &["garbage"])).await;
    assert_eq!(result, (255, String::new(), "exec /bin/garbage: exec format error\n".into()));
    println!("output, environment and exit codes");
}

async fn confinement(runtime: &NamespaceRuntime) {
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|SigIgn|SigBlk)' /proc/self/status; ls /proc/self/fd | wc -l
        head -c1 /proc/acpi/x 2>&1 | wc -c; ls /sys/firmware | wc -l
        echo x 2>&1 >/proc/sys/kernel/hostname; unshare -m true 2>&1; unshare -U true 2>&1
        mknod mem b 7 0 && head -c1 mem 2>&1
        head -c1 /dev/zero | wc -c; cat /proc/self/cgroup; cat /proc/self/oom_score_adj; umask
        ls /dev; ls /dev/pts; df | grep shm; (true & true)
        mount -t tmpfs x /tmp 2>&1; ls -ld /made/here | cut -c1-10";
    let (_, stdout, stderr) =
        run(runtime, ContainerSpec { oom_score_adj: 17, ..shell(2, script) }).await;

    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000080000e1",
        "CapEff:\t00000000080000e1",
        "CapBnd:\t00000000080000e1",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
        "SigIgn:\t0000000000000000",
        "SigBlk:\t0000000000000000",
        "Groups:\t0 ",
        "0::/",
        "17",
        "0022",
    ] {
        assert!(stdout.lines().any(|found| found == line), "{line:?} in {stdout}");
    }
    for text in [
        "can't create /proc/sys/kernel/hostname: Read-only file system",
        "unshare: unshare(0x20000): Operation not permitted",
        "unshare: unshare(0x10000000): Operation not permitted",
        "head: mem: Operation not permitted",
        "65536",
    ] {
        let all = format!("{stdout}{stderr}");
        assert!(all.contains(text), "{text:?} in {all}");
    }
    println!("confinement");
}

async fn users(runtime: &NamespaceRuntime) {
    let script = "id; echo written >/dev/stdout; grep -E 'Cap(Eff|Prm|Bnd)|Seccomp:' /proc/self/status; echo $HOME";
    let (code, stdout, stderr) =
        run(runtime, ContainerSpec { user: "app".into(), ..shell(3, script) }).await;
    let expected = "uid=1000(app) gid=1000(app) groups=50(extra),1000(app)\nwritten\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t00000000080000e1\nSeccomp:\t2\n/home/app\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, expected, ""));
    let strict = ContainerSpec {
        no_new_privileges: true,
        user: "app".into(),
        ..shell(3, "grep -E 'NoNew|Seccomp:' /proc/self/status")
    };
    assert_eq!(run(runtime, strict).await.1, "NoNewPrivs:\t1\nSeccomp:\t2\n");
    println!("users");
}

async fn input(runtime: &NamespaceRuntime) {
    let spec = ContainerSpec { open_stdin: true, ..spec(4, &["cat"]) };
    let id = spec.id.clone();
    let process = runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    let stdin = process.io.stdin.as_ref().unwrap();
    stdin.write_all(b"hi\n").await.unwrap();
    stdin.close().await.unwrap();
    assert_eq!(stdin.resize(TerminalSize::default()).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(finish(runtime, process).await, (0, "hi\n".into(), String::new()));
    runtime.delete(&id).await.unwrap();
    assert_eq!(
        run(
            runtime,
            ContainerSpec { id: format!("{:064x}", 4), ..crate::containers::spec(4, &["cat"]) }
        )
        .await
        .0,
        0
    );
    println!("input");
}

async fn terminal(runtime: &NamespaceRuntime) {
    let script = "tty; stty size; stat -c %u:%a /dev/pts/0; ls -l /dev/console | head -c 10; echo; read line; echo got $line; stty size; echo err >&2";
    let spec = ContainerSpec {
        stdio: StdioKind::Terminal,
        terminal_size: TerminalSize { rows: 25, columns: 81 },
        user: "app".into(),
        ..shell(5, script)
    };
    let id = spec.id.clone();
    let mut process = runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    let stdin = process.io.stdin.take().unwrap();
    stdin.resize(TerminalSize { rows: 30, columns: 90 }).await.unwrap();
    stdin.write_all(b"word\r").await.unwrap();
    let (code, stdout, _) = finish(runtime, process).await;

    assert_eq!(code, 0);
    for text in ["/dev/pts/0\r\n", "1000:620\r\n", "crw--w----\r\n", "got word\r\n30 90\r\nerr\r\n"]
    {
        assert!(stdout.contains(text), "{text:?}");
    }
    runtime.delete(&id).await.unwrap();
    println!("terminal");
}

async fn refusals(runtime: &NamespaceRuntime) {
    let cases: [(ContainerSpec, &str); 6] = [
        (spec(6, &["nosuch"]), r#"exec: "nosuch": executable file not found in $PATH"#),
        (spec(6, &["/x"]), r#"exec: "/x": stat /x: no such file or directory"#),
        (spec(6, &["/etc/passwd"]), r#"exec: "/etc/passwd": permission denied"#),
        (
            ContainerSpec { user: "who".into(), ..spec(6, &["sh"]) },
            "unable to find user who: no matching entries in passwd file",
        ),
        (
            ContainerSpec {
                user: "app".into(),
                working_dir: "/".into(),
                ..spec(6, &["/root/secret"])
            },
            r#"exec: "/root/secret""#,
        ),
        (ContainerSpec { working_dir: "/proc/self/fd/5".into(), ..spec(6, &["sh"]) }, ""),
    ];
    for (spec, text) in cases {
        let id = spec.id.clone();
        match runtime.create(spec).await {
            Err(error) => {
                assert!(error.to_string().contains(text), "{error} has {text}");
                println!("  {:?} {error}", error.kind());
                assert!(text.is_empty() || error.kind() == Kind::InvalidArgument, "{error:?}");
            }
            Ok(_) => panic!("{text}"),
        }
        runtime.delete(&id).await.unwrap();
    }
    println!("refusals");
}

async fn privileged(runtime: &NamespaceRuntime) {
    let script = "grep -E 'CapEff|Seccomp:' /proc/self/status; unshare -m true && echo unshared; ls /dev | grep -E 'null|kmsg'; head -c0 /dev/kmsg && echo opened";
    let (_, stdout, _) = run(runtime, ContainerSpec { privileged: true, ..shell(7, script) }).await;

    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let all = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    assert!(stdout.contains(&format!("CapEff:{all}\n")));
    assert!(stdout.contains("Seccomp:\t0"));
    assert!(stdout.contains("unshared"));
    println!("privileged");
}

async fn another_process(runtime: &NamespaceRuntime) {
    let spec = shell(8, "sleep 1000");
    let id = spec.id.clone();
    runtime.create(spec).await.unwrap();
    assert_eq!(
        runtime.exec(&id, exec_spec(1, "true")).await.unwrap_err().kind(),
        Kind::Conflict,
        "not started"
    );
    runtime.start(&id).await.unwrap();
    let started = std::time::Instant::now();
    let script = "env; pwd; hostname; id; grep -E 'Cap(Inh|Eff|Bnd)|Seccomp:|SigIgn' /proc/self/status; cat /proc/self/cgroup; ls /proc/self/fd | wc -l; exit 3";
    let process = runtime.exec(&id, exec_spec(1, script)).await.unwrap();
    let (code, stdout, stderr) = finish(runtime, process).await;
    println!("  exec in {:?}: {code} {stdout}{stderr}", started.elapsed());
    assert_eq!(code, 3);
    for line in [
        "B=3",
        "HOME=/root",
        "/tmp",
        "box",
        "uid=0(root) gid=0(root) groups=0(root)",
        "CapInh:\t0000000000000000",
        "CapEff:\t0000000000000001",
        "CapBnd:\t0000000000000001",
        "Seccomp:\t2",
        "SigIgn:\t0000000000000000",
        "0::/",
    ] {
        assert!(stdout.lines().any(|found| found == line), "{line:?}");
    }
    runtime.forget_exec(&id, &format!("{:064x}", 1)).await.unwrap();

    let terminal = ExecSpec {
        stdio: StdioKind::Terminal,
        terminal_size: TerminalSize { rows: 20, columns: 70 },
        user: "app".into(),
        ..exec_spec(2, "tty; stty size; id -u; echo there >/dev/stdout; echo $HOME")
    };
    let process = runtime.exec(&id, terminal).await.unwrap();
    assert_eq!(
        finish(runtime, process).await.1,
        "/dev/pts/0\r\n20 70\r\n1000\r\nthere\r\n/home/app\r\n"
    );

    for (exec, text) in [
        (
            ExecSpec { args: strings(&["nosuch"]), ..exec_spec(3, "") },
            r#"exec: "nosuch": executable file not found in $PATH"#,
        ),
        (
            ExecSpec { working_dir: "/nope".into(), ..exec_spec(3, "") },
            r#"chdir to cwd ("/nope") set in config.json failed: no such file or directory"#,
        ),
        (ExecSpec { working_dir: "/proc/self/fd/4".into(), ..exec_spec(3, "") }, "chdir to cwd"),
        (ExecSpec { user: "who".into(), ..exec_spec(3, "") }, "unable to find user who"),
        (ExecSpec { args: strings(&["/bin/garbage"]), ..exec_spec(3, "") }, "exec format error"),
    ] {
        let error = runtime.exec(&id, exec).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }
    let background = runtime.exec(&id, exec_spec(4, "sleep 1000 & sleep 1000")).await.unwrap();
    let seen = runtime.processes(&id).await.unwrap();
    assert!(seen.contains(&background.id.pid), "{seen:?}");
    runtime.signal(background.id, 15).await.unwrap();
    assert_eq!(runtime.wait(background.id).await.unwrap().code, 143);
    assert_eq!(runtime.signal(background.id, 15).await.unwrap_err().kind(), Kind::NotFound);
    runtime.delete(&id).await.unwrap();
    runtime.delete(&id).await.unwrap();
    println!("other processes");
}

async fn the_next_daemon(first: &NamespaceRuntime) {
    let spec = ContainerSpec {
        open_stdin: true,
        ..shell(9, "echo before; read x; echo after $x; exit 5")
    };
    let id = spec.id.clone();
    let mut process = first.create(spec).await.unwrap();
    let waiting = crate::containers::spec(10, &["true"]);
    let waiting_id = waiting.id.clone();
    first.create(waiting).await.unwrap();
    first.start(&id).await.unwrap();
    let exec = ExecSpec { open_stdin: true, ..exec_spec(5, "cat; exit 6") };
    first.exec(&id, exec).await.unwrap();
    assert_eq!(process.io.stdout.as_mut().unwrap().peek().await.unwrap(), b"before\n");
    let old = process.id;
    drop(process);

    let next = runtime();
    let mut found = next.recover().await.unwrap();
    found.sort_by_key(|recovered| recovered.container.clone());
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].container, waiting_id);
    assert!(!found[1].started);
    let recovered = found.remove(0);
    assert!(recovered.started);
    assert_eq!(recovered.process.id, old);
    let (_, exec) = recovered.execs.into_iter().next().unwrap();
    let stdin = exec.io.stdin.as_ref().unwrap();
    stdin.write_all(b"exec").await.unwrap();
    stdin.close().await.unwrap();
    assert_eq!(finish(&next, exec).await, (6, "exec".into(), String::new()));
    recovered.process.io.stdin.as_ref().unwrap().write_all(b"it\n").await.unwrap();
    assert_eq!(
        finish(&next, recovered.process).await,
        (5, "before\nafter it\n".into(), String::new())
    );
    next.delete(&id).await.unwrap();
    next.delete(&waiting_id).await.unwrap();
    // The first one knows them still; it is dead in earnest.
    first.delete(&id).await.unwrap();
    first.delete(&waiting_id).await.unwrap();
    println!("the next daemon");
}

async fn killing(runtime: &NamespaceRuntime) {
    let spec = shell(11, "sleep 1000 & sleep 1000 & echo; sleep 1000");
    let id = spec.id.clone();
    let mut process = runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    process.io.stdout.as_mut().unwrap().peek().await.unwrap();
    assert!(runtime.processes(&id).await.unwrap().len() >= 3);
    runtime.kill_all(&id).await.unwrap();
    let status = runtime.wait(process.id).await.unwrap();
    assert_eq!((status.code, status.oom_killed), (137, false));
    runtime.delete(&id).await.unwrap();
    assert_eq!(runtime.kill_all(&id).await.unwrap_err().kind(), Kind::NotFound);
    println!("killing");
}
