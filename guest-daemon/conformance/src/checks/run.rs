//! `docker run`: streams, exit codes, environment, limits.

use anyhow::{Result, ensure};

use super::Check;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("output_and_exit_code_are_the_programs", output_and_code),
    Check::new("input_reaches_the_program_and_its_end_too", input),
    Check::new("a_program_that_is_not_there_is_127", not_there),
    Check::new("a_program_that_may_not_run_is_126", not_runnable),
    Check::new("a_wrong_flag_is_125", wrong_flag),
    Check::new("environment_user_and_directory_are_set", surroundings),
    Check::new("the_image_says_what_the_user_does_not", image_defaults),
    Check::new("hostname_and_hosts_are_written", names),
    Check::new("a_read_only_root_takes_tmpfs_and_volumes", read_only),
    Check::new("capabilities_are_dropped_and_added", capabilities),
    Check::new("no_new_privileges_holds", no_new_privileges),
    Check::new("masked_paths_are_masked", masked_paths),
    Check::new("init_reaps_and_passes_signals", init),
    Check::new("sysctls_and_ulimits_are_set", kernel_limits),
    Check::new("memory_and_processes_are_limited", cgroup_limits)
        .ours_only("dockerd runs on this host's cgroup hierarchy, which may be another version"),
];

fn inside(engine: &Engine, flags: &[&str], script: &str) -> Result<String> {
    engine.text(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat())
}

fn output_and_code(engine: &Engine) -> Result<()> {
    let ended =
        engine.run(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"])?;
    ensure!(ended.stdout == "out\n" && ended.stderr == "err\n" && ended.code == 7, "{ended:?}");
    Ok(())
}

fn input(engine: &Engine) -> Result<()> {
    let long = "0123456789abcdef\n".repeat(20_000);
    let ended = engine.run_with(&["run", "--rm", "-i", "busybox", "sha256sum"], long.as_bytes())?;
    let wanted = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&long));
    ensure!(ended.text()?.starts_with(&wanted), "{ended:?}");
    Ok(())
}

fn not_there(engine: &Engine) -> Result<()> {
    engine
        .run(&["run", "--rm", "busybox", "absent"])?
        .fails(127, "executable file not found in $PATH")?;
    engine.run(&["run", "--rm", "busybox", "/absent"])?.fails(127, "no such file or directory")
}

fn not_runnable(engine: &Engine) -> Result<()> {
    engine.run(&["run", "--rm", "busybox", "/etc/passwd"])?.fails(126, "permission denied")?;
    engine.run(&["run", "--rm", "busybox", "/etc"])?.fails(126, "")
}

fn wrong_flag(engine: &Engine) -> Result<()> {
    engine
        .run(&["run", "--rm", "--memory", "1k", "busybox"])?
        .fails(125, "Minimum memory limit allowed is 6MB")
}

fn surroundings(engine: &Engine) -> Result<()> {
    let flags = ["-e", "A=1 2", "-e", "EMPTY=", "-u", "1000:2000", "-w", "/made/for/it"];
    let said = inside(engine, &flags, "echo \"$A-$EMPTY-$HOME\"; id -u; id -g; pwd")?;
    ensure!(said == "1 2--/home\n1000\n2000\n/made/for/it", "{said}");
    Ok(())
}

fn image_defaults(engine: &Engine) -> Result<()> {
    let said = engine.text(&["run", "--rm", "elaborate:1", "id -un; pwd; cat /data/of-image"])?;
    ensure!(said == "app\n/work\nfrom the image", "{said}");
    Ok(())
}

fn names(engine: &Engine) -> Result<()> {
    let flags = ["--hostname", "web", "--domainname", "a.test", "--add-host", "other:10.1.2.3"];
    let said = inside(engine, &flags, "hostname; cat /etc/hosts")?;
    ensure!(said.starts_with("web\n") || said.starts_with("web.a.test\n"), "{said}");
    ensure!(said.contains("10.1.2.3\tother") && said.contains("web.a.test web"), "{said}");
    Ok(())
}

fn read_only(engine: &Engine) -> Result<()> {
    let flags = ["--read-only", "--tmpfs", "/t:size=1m,mode=1777", "-v", "/v"];
    let said = inside(engine, &flags, "touch /x 2>&1; touch /t/x /v/x && stat -c %a /t")?;
    ensure!(said == "touch: /x: Read-only file system\n1777", "{said}");
    Ok(())
}

fn capabilities(engine: &Engine) -> Result<()> {
    let effective = "grep CapEff /proc/self/status";
    let usual = inside(engine, &[], effective)?;
    ensure!(usual.ends_with("00000000a80425fb"), "{usual}");
    let few = inside(engine, &["--cap-drop", "all", "--cap-add", "CHOWN"], effective)?;
    ensure!(few.ends_with("0000000000000001"), "{few}");
    let of_user = inside(engine, &["-u", "1000"], effective)?;
    ensure!(of_user.ends_with("0000000000000000"), "{of_user}");
    Ok(())
}

fn no_new_privileges(engine: &Engine) -> Result<()> {
    let script = "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status";
    let said = inside(engine, &["--security-opt", "no-new-privileges"], script)?;
    ensure!(said == "NoNewPrivs:\t1\nSeccomp:\t2", "{said}");
    let said = inside(engine, &["--security-opt", "seccomp=unconfined"], script)?;
    ensure!(said == "NoNewPrivs:\t0\nSeccomp:\t0", "{said}");
    Ok(())
}

fn masked_paths(engine: &Engine) -> Result<()> {
    let script = "for file in kcore keys timer_list; do test ! -s /proc/$file || echo $file; done; \
                  echo 1 2>&1 >/proc/sys/vm/swappiness; ls /sys/firmware 2>&1 | head -n 1";
    let said = inside(engine, &[], script)?;
    let refused = "sh: can't create /proc/sys/vm/swappiness: Read-only file system";
    ensure!(said.lines().next() == Some(refused), "{said}");
    Ok(())
}

fn init(engine: &Engine) -> Result<()> {
    let said = inside(engine, &["--init"], "cat /proc/1/comm; (sleep 0 &) ; echo $$")?;
    let lines: Vec<&str> = said.lines().collect();
    ensure!(lines[0] != "sh" && lines[1] != "1", "{said}");
    Ok(())
}

fn kernel_limits(engine: &Engine) -> Result<()> {
    let flags = ["--sysctl", "net.ipv4.ip_forward=1", "--ulimit", "nofile=100:200"];
    let said = inside(engine, &flags, "cat /proc/sys/net/ipv4/ip_forward; ulimit -n; ulimit -Hn")?;
    ensure!(said == "1\n100\n200", "{said}");
    Ok(())
}

fn cgroup_limits(engine: &Engine) -> Result<()> {
    let flags = ["--memory", "32m", "--memory-swap", "32m", "--pids-limit", "20", "--cpus", "0.5"];
    let script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
    let said = inside(engine, &flags, script)?;
    ensure!(said == "33554432\n20\n50000 100000", "{said}");
    let name = "limits-oom";
    let eat = "head -c 200m /dev/zero | tail";
    engine.run(&[
        "run",
        "--name",
        name,
        "-m",
        "16m",
        "busybox",
        "sh",
        "-c",
        &format!("exec {eat}"),
    ])?;
    engine.text(&["rm", name])?;
    Ok(())
}
