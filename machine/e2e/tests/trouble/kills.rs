//! Commands that are killed at random moments: what they were about is done, or as it was before,
//! and the next command works.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Host, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("a_killed_create_is_all_or_nothing", create),
    ("a_killed_start_can_be_repeated", start),
    ("a_killed_stop_can_be_repeated", stop),
    ("a_killed_rm_can_be_repeated", rm),
    ("a_killed_upgrade_leaves_a_machine", upgrade),
    ("a_killed_regenerate_certs_leaves_a_machine_that_answers", regenerate),
];

const FLAGS: &[&str] = &["--accel", "tcg", "--cpu-count", "1", "--memory", "256", "x"];

/// How often each command is killed; fifty in all.
const CREATES: usize = 10;
const STARTS: usize = 10;
const STOPS: usize = 8;
const REMOVALS: usize = 4;
const UPGRADES: usize = 8;
const REGENERATIONS: usize = 10;

fn made() -> Result<Host> {
    let host = Host::new()?;
    command(&host, &["create"]).args(FLAGS).run()?.ok()?;
    Ok(host)
}

fn command(host: &Host, words: &[&str]) -> Command {
    let mut command = host.machine();
    command.args(words);
    command
}

fn ok(host: &Host, words: &[&str]) -> Result<()> {
    command(host, words).run()?.ok()
}

/// One word, or nothing where there is no machine.
fn status(host: &Host) -> Result<String> {
    let asked = command(host, &["status", "x"]).run()?;
    ensure!(asked.code == 0 || asked.code == 4, "{asked}");
    Ok(asked.stdout.trim().to_owned())
}

/// How long the command takes when nothing happens to it.
fn duration(run: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    run()?;
    Ok(begun.elapsed())
}

/// Runs the command and kills it at a random moment of the time it takes. Answers the moment.
fn kill(command: &mut Command, takes: Duration) -> Result<Duration> {
    let mut random = [0; 4];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    let moment = takes.mul_f64(f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = rustix::process::Pid::from_child(&child);
    let descriptor = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut waited = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec {
        tv_sec: moment.as_secs().cast_signed(),
        tv_nsec: moment.subsec_nanos().into(),
    };
    rustix::event::poll(&mut waited, Some(&timeout))?;
    child.kill()?;
    child.wait()?;
    Ok(moment)
}

/// Whatever was killed: the machine runs, or a start makes it run, and its engine answers.
fn usable(host: &Host, moment: Duration) -> Result<()> {
    let tried = || -> Result<()> {
        if status(host)? != "Running" {
            ok(host, &["start", "x"])?;
        }
        let docker = machine_e2e::host::docker("forky")?;
        command(host, &["exec", "x", "--"]).arg(docker).arg("version").run()?.ok()
    };
    tried().with_context(|| format!("after a kill at {moment:?}"))
}

fn create(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let create = || {
        let mut create = command(&host, &["create"]);
        create.args(FLAGS);
        create
    };
    create().run()?.ok()?;
    ok(&host, &["rm", "-f", "-y", "x"])?;
    let takes = duration(|| create().run()?.ok())?;
    for _ in 0..CREATES {
        ok(&host, &["rm", "-f", "-y", "x"])?;
        let moment = kill(&mut create(), takes)?;
        // It was complete before the kill, or its name is free.
        if status(&host)? != "Running" {
            create().run()?.ok().with_context(|| format!("after a kill at {moment:?}"))?;
        }
        usable(&host, moment)?;
    }
    ok(&host, &["rm", "-f", "-y", "x"])
}

fn start(_: &Machine) -> Result<()> {
    let host = made()?;
    ok(&host, &["stop", "x"])?;
    let takes = duration(|| ok(&host, &["start", "x"]))?;
    for _ in 0..STARTS {
        ok(&host, &["kill", "x"])?;
        let moment = kill(&mut command(&host, &["start", "x"]), takes)?;
        usable(&host, moment)?;
    }
    ok(&host, &["rm", "-f", "-y", "x"])
}

fn stop(_: &Machine) -> Result<()> {
    let host = made()?;
    let takes = duration(|| ok(&host, &["stop", "x"]))?;
    for _ in 0..STOPS {
        usable(&host, Duration::ZERO)?;
        let moment = kill(&mut command(&host, &["stop", "x"]), takes)?;
        // What the guest was told it does; a second stop waits for it.
        let again = command(&host, &["stop", "x"]).run()?;
        ensure!(again.code == 0 || again.code == 5, "after a kill at {moment:?}: {again}");
        ensure!(status(&host)? == "Stopped", "after a kill at {moment:?}");
    }
    ok(&host, &["rm", "-f", "-y", "x"])
}

fn rm(_: &Machine) -> Result<()> {
    let host = made()?;
    let takes = duration(|| ok(&host, &["rm", "-f", "-y", "x"]))?;
    for _ in 0..REMOVALS {
        command(&host, &["create"]).args(FLAGS).run()?.ok()?;
        let moment = kill(&mut command(&host, &["rm", "-f", "-y", "x"]), takes)?;
        if !status(&host)?.is_empty() {
            ok(&host, &["rm", "-f", "-y", "x"])
                .with_context(|| format!("after a kill at {moment:?}"))?;
        }
        ensure!(command(&host, &["ls", "-q"]).run()?.text()?.is_empty());
    }
    Ok(())
}

fn upgrade(_: &Machine) -> Result<()> {
    let host = made()?;
    let booted = host.storage().join("machines/x/booted.json");
    // As if the machine had been booted with the image of another version.
    // An upgrade that was killed before it had begun leaves it so.
    let older = || match std::fs::remove_file(&booted) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    older()?;
    let takes = duration(|| ok(&host, &["upgrade", "x"]))?;
    for _ in 0..UPGRADES {
        older()?;
        let moment = kill(&mut command(&host, &["upgrade", "x"]), takes)?;
        usable(&host, moment)?;
    }
    ok(&host, &["rm", "-f", "-y", "x"])
}

fn regenerate(_: &Machine) -> Result<()> {
    let host = made()?;
    let all = &["regenerate-certs", "-f", "--client-certs", "--ca", "x"];
    let takes = duration(|| ok(&host, all))?;
    for _ in 0..REGENERATIONS {
        let moment = kill(&mut command(&host, all), takes)?;
        usable(&host, moment)?;
    }
    ok(&host, &["rm", "-f", "-y", "x"])
}
