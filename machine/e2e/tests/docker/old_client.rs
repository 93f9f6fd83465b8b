//! The same engine seen by a docker command of 2020.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("it_negotiates_its_own_version", version),
    ("it_runs_and_passes_codes", run),
    ("it_sees_images_and_containers", lists),
    ("it_reads_logs_and_execs", logs),
];

fn old(on: &Fixture, words: &[&str]) -> Result<String> {
    on.machine.old_docker(words.iter().copied()).run()?.text()
}

fn version(on: &Fixture) -> Result<()> {
    let seen = old(on, &["version", "--format", "{{.Client.APIVersion}} {{.Server.APIVersion}}"])?;
    ensure!(seen == "1.41 1.51", "{seen}");
    old(on, &["info"]).map(drop)
}

fn run(on: &Fixture) -> Result<()> {
    let words = ["run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo err >&2; exit 42"];
    let ran = on.machine.old_docker(words).run_with(b"hi\n")?;
    ensure!(ran.code == 42 && ran.stdout == "hi\n" && ran.stderr == "err\n", "{ran}");
    on.machine.old_docker(["run", "--rm", "busybox", "nosuch"]).run()?.code(127)?;
    Ok(())
}

fn lists(on: &Fixture) -> Result<()> {
    ensure!(old(on, &["images", "--format", "{{.Repository}}"])?.contains("busybox"));
    let id = old(on, &["create", "busybox"])?;
    ensure!(old(on, &["ps", "-aq", "--no-trunc"])?.contains(&id));
    old(on, &["inspect", &id])?;
    old(on, &["rm", &id]).map(drop)
}

fn logs(on: &Fixture) -> Result<()> {
    old(on, &["run", "-d", "--name", "old", "busybox", "sh", "-c", "echo begun; exec sleep 1000"])?;
    machine_e2e::eventually("it began", || Ok(old(on, &["logs", "old"])? == "begun"))?;
    on.machine.old_docker(["exec", "old", "sh", "-c", "exit 3"]).run()?.code(3)?;
    old(on, &["rm", "-f", "old"]).map(drop)
}
