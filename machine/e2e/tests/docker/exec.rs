//! Further processes in running containers.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("exec_shares_the_container", shares),
    ("exit_codes_pass_through", codes),
    ("input_reaches_the_process", input),
    ("flags_are_honoured", flags),
    ("a_stopped_container_is_refused", stopped),
    ("many_at_once_all_answer", many),
];

fn shares(on: &Fixture) -> Result<()> {
    on.text(&[
        "run",
        "-d",
        "--name",
        "shared",
        "busybox",
        "sh",
        "-c",
        "echo here >/file; exec sleep 1000",
    ])?;
    machine_e2e::eventually("the file is there", || {
        Ok(on.docker(["exec", "shared", "cat", "/file"]).run()?.stdout == "here\n")
    })?;
    let seen = on.text(&["exec", "shared", "ps", "-o", "pid,args"])?;
    ensure!(seen.contains("1 sleep 1000"), "{seen}");
    on.text(&["rm", "-f", "shared"]).map(drop)
}

fn codes(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "codes", "busybox", "sleep", "1000"])?;
    on.docker(["exec", "codes", "sh", "-c", "exit 42"]).run()?.code(42)?;
    on.docker(["exec", "codes", "nosuch"]).run()?.code(127)?;
    on.docker(["exec", "codes", "/etc/passwd"]).run()?.code(126)?;
    on.text(&["rm", "-f", "codes"]).map(drop)
}

fn input(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "reader", "busybox", "sleep", "1000"])?;
    let ran = on.docker(["exec", "-i", "reader", "cat"]).run_with(b"through exec")?;
    ensure!(ran.text()? == "through exec", "{ran}");
    let ran = on.docker(["exec", "reader", "sh", "-c", "echo o; echo e >&2"]).run()?;
    ensure!(ran.stdout == "o\n" && ran.stderr == "e\n", "{ran}");
    on.text(&["rm", "-f", "reader"]).map(drop)
}

fn flags(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "flagged", "-e", "A=1", "busybox", "sleep", "1000"])?;
    let script = "echo $A $B; pwd; id -u";
    let words = ["exec", "-e", "B=2", "-w", "/tmp", "-u", "app", "flagged", "sh", "-c", script];
    let seen = on.text(&words)?;
    ensure!(seen == "1 2\n/tmp\n1000", "{seen}");
    let nobody = on.docker(["exec", "-u", "nosuch", "flagged", "true"]).run()?;
    nobody.code(1)?.says("unable to find user nosuch: no matching entries in passwd file")?;
    on.text(&["rm", "-f", "flagged"]).map(drop)
}

fn stopped(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "still", "busybox"])?;
    on.docker(["exec", "still", "true"]).run()?.code(1)?.says("is not running")?;
    on.text(&["rm", "still"]).map(drop)
}

fn many(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "many", "busybox", "sleep", "1000"])?;
    let answers: Vec<Result<String>> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|n| scope.spawn(move || on.text(&["exec", "many", "echo", &n.to_string()])))
            .collect();
        asked.into_iter().map(|thread| thread.join().unwrap_or(Ok(String::new()))).collect()
    });
    for (n, answer) in answers.into_iter().enumerate() {
        ensure!(answer? == n.to_string());
    }
    on.text(&["rm", "-f", "many"]).map(drop)
}
