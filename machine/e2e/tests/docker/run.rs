//! `docker run` in the foreground and its flags.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("output_and_error_arrive_apart", streams),
    ("exit_codes_pass_through", exit_codes),
    ("a_missing_program_is_127", missing_program),
    ("a_program_that_may_not_run_is_126", not_executable),
    ("a_daemon_error_is_125", daemon_error),
    ("a_signal_is_128_and_more", killed),
    ("standard_input_is_half_closed", half_close),
    ("a_megabyte_passes_through", megabyte),
    ("without_i_there_is_no_input", no_input),
    ("environment_directory_and_user_are_set", settings),
    ("a_user_gets_its_groups_and_home", user),
    ("an_unknown_user_is_refused", unknown_user),
    ("the_entrypoint_is_replaced", entrypoint),
    ("rm_leaves_nothing", rm),
    ("a_name_is_taken_once", name),
    ("detached_prints_the_id", detached),
    ("limits_reach_the_cgroup", limits),
    ("a_container_over_its_memory_is_killed_and_says_so", oom),
    ("the_last_output_is_not_lost", last_output),
];

fn streams(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]).run()?;
    ensure!(ran.code == 0 && ran.stdout == "out\n" && ran.stderr == "err\n", "{ran}");
    Ok(())
}

fn exit_codes(on: &Fixture) -> Result<()> {
    for code in [0, 1, 42, 255] {
        let script = format!("exit {code}");
        on.docker(["run", "--rm", "busybox", "sh", "-c", &script]).run()?.code(code)?;
    }
    Ok(())
}

fn missing_program(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "busybox", "nosuch"]).run()?;
    ran.code(127)?.says("executable file not found in $PATH")?;
    let ran = on.docker(["run", "--rm", "busybox", "/no/such"]).run()?;
    ran.code(127)?.says("no such file or directory").map(drop)
}

fn not_executable(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "busybox", "/etc/passwd"]).run()?;
    ran.code(126)?.says("permission denied").map(drop)
}

fn daemon_error(on: &Fixture) -> Result<()> {
    on.docker(["run", "--rm", "--name", "/bad name", "busybox"]).run()?.code(125)?;
    on.docker(["run", "--rm", "--memory", "1k", "busybox"]).run()?.code(125)?;
    Ok(())
}

fn killed(on: &Fixture) -> Result<()> {
    on.docker(["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
        .run()?
        .code(137)?;
    Ok(())
}

fn half_close(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "-i", "busybox", "cat"]).run_with(b"hi\n")?;
    ensure!(ran.text()? == "hi", "{ran}");
    let script = "cat >/dev/null; echo after the end";
    let ran = on.docker(["run", "--rm", "-i", "busybox", "sh", "-c", script]).run_with(b"x")?;
    ensure!(ran.text()? == "after the end", "{ran}");
    Ok(())
}

fn megabyte(on: &Fixture) -> Result<()> {
    let input: Vec<u8> =
        (0..1_048_576_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap_or(0)).collect();
    let ran = on.docker(["run", "--rm", "-i", "busybox", "cat"]).run_with(&input)?;
    ensure!(ran.code == 0 && ran.stdout.as_bytes() == input, "{} bytes", ran.stdout.len());
    Ok(())
}

fn no_input(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "busybox", "wc", "-c"]).run_with(b"not seen")?;
    ensure!(ran.text()? == "0", "{ran}");
    Ok(())
}

fn settings(on: &Fixture) -> Result<()> {
    let script = "echo $COLOUR; pwd; id -u; hostname";
    let flags = ["-e", "COLOUR=blue", "-w", "/not/there/yet", "-u", "1000", "--hostname", "chosen"];
    let seen = on.inside(&flags, &["sh", "-c", script])?;
    ensure!(seen == "blue\n/not/there/yet\n1000\nchosen", "{seen}");
    let seen = on.inside(&[], &["sh", "-c", "echo $PATH $HOME; hostname"])?;
    ensure!(seen.starts_with("/bin /root\n"), "{seen}");
    Ok(())
}

fn user(on: &Fixture) -> Result<()> {
    let seen = on.inside(&["-u", "app"], &["sh", "-c", "id -u; id -g; id -G; echo $HOME"])?;
    ensure!(seen == "1000\n1000\n1000 2000\n/tmp", "{seen}");
    let seen = on.inside(&["-u", "12:34"], &["sh", "-c", "id -u; id -g"])?;
    ensure!(seen == "12\n34", "{seen}");
    Ok(())
}

fn unknown_user(on: &Fixture) -> Result<()> {
    let ran = on.docker(["run", "--rm", "-u", "nosuch", "busybox", "true"]).run()?;
    ran.says("unable to find user nosuch")?;
    ensure!(ran.code != 0, "{ran}");
    let ran = on.docker(["run", "--rm", "-u", "4294967296", "busybox", "true"]).run()?;
    ensure!(ran.code != 0, "a user beyond 32 bits ran: {ran}");
    Ok(())
}

fn entrypoint(on: &Fixture) -> Result<()> {
    let seen = on.inside(&["--entrypoint", "/bin/echo"], &["said", "so"])?;
    ensure!(seen == "said so", "{seen}");
    Ok(())
}

fn rm(on: &Fixture) -> Result<()> {
    on.text(&["run", "--rm", "--name", "gone", "busybox", "true"])?;
    on.docker(["inspect", "gone"]).run()?.code(1)?;
    Ok(())
}

fn name(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "taken", "busybox"])?;
    let second = on.docker(["create", "--name", "taken", "busybox"]).run()?;
    second.says("The container name \"/taken\" is already in use by container")?;
    on.text(&["rm", "taken"]).map(drop)
}

fn detached(on: &Fixture) -> Result<()> {
    let id = on.text(&["run", "-d", "busybox", "true"])?;
    ensure!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    ensure!(on.text(&["wait", &id])? == "0");
    on.text(&["rm", &id]).map(drop)
}

fn limits(on: &Fixture) -> Result<()> {
    let script = "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max";
    let flags = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "50"];
    let seen = on.inside(&flags, &["sh", "-c", script])?;
    ensure!(seen == "67108864\n50000 100000\n50", "{seen}");
    Ok(())
}

fn oom(on: &Fixture) -> Result<()> {
    let script = "dd if=/dev/zero of=/dev/shm/big bs=1M count=60; tail /dev/zero";
    let flags = ["run", "--name", "hungry", "--memory", "16m", "--memory-swap", "16m", "busybox"];
    let ran = on.docker(flags.into_iter().chain(["sh", "-c", script])).run()?;
    ensure!(ran.code != 0, "{ran}");
    let state = on.text(&["inspect", "-f", "{{.State.OOMKilled}}", "hungry"])?;
    on.text(&["rm", "hungry"])?;
    ensure!(state == "true", "{state}");
    Ok(())
}

fn last_output(on: &Fixture) -> Result<()> {
    for _ in 0..10 {
        let seen = on.inside(&[], &["seq", "1", "2000"])?;
        ensure!(seen.lines().count() == 2000 && seen.ends_with("2000"), "{}", seen.len());
    }
    Ok(())
}
