//! Measures what people wait for and prints one table. Nothing here passes or fails.

#![expect(clippy::print_stdout, reason = "the table is this program's result")]

mod compare;
mod images;
mod reference;
mod soak;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use machine_e2e::{Host, Machine, Run, archive};
use serde_json::{Value, json};

/// Machines created and started; containers run.
const MACHINES: usize = 5;
const CONTAINERS: usize = 50;

fn main() -> Result<()> {
    let mut table = Table::default();
    let result = measure(&mut table);
    // What was measured before something failed was measured.
    println!("{table}");
    result
}

/// Without a word everything but the long run; `machine`, `compare`, `images` or `soak [RUNS]` for a
/// part.
fn measure(table: &mut Table) -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        None => {
            whole(table)?;
            compare::compare(table)?;
            images::images(table)
        }
        Some("machine") => whole(table),
        Some("compare") => compare::compare(table),
        Some("images") => images::images(table),
        Some("soak") => {
            let runs = words.next().map_or(Ok(soak::RUNS), |runs| runs.parse())?;
            soak::soak(table, runs)
        }
        Some(other) => bail!("{other} cannot be measured: machine, compare, images or soak [RUNS]"),
    }
}

fn whole(table: &mut Table) -> Result<()> {
    create_and_start(table)?;
    host_side(table)?;
    let machine = Machine::create("bench", &[])?;
    containers(&machine, table)?;
    memory(&machine, table)?;
    image(table)
}

/// An image with busybox, as `docker load` takes it.
fn busybox() -> Result<Vec<u8>> {
    archive::docker_archive(
        "busybox:latest",
        json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]}),
        &[archive::busybox_root()?],
    )
}

/// Rows of name, value and how many measurements.
#[derive(Default)]
struct Table(Vec<(String, String)>);

impl Table {
    fn row(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Median and the slowest of twenty.
    fn times(&mut self, name: &str, mut milliseconds: Vec<f64>) {
        milliseconds.sort_by(f64::total_cmp);
        let at = |share: usize| milliseconds[(milliseconds.len() - 1) * share / 100];
        let count = milliseconds.len();
        self.row(name, format!("p50 {:.0} ms, p95 {:.0} ms of {count}", at(50), at(95)));
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| what | measured |\n|---|---|")?;
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "| {name} | {value} |"))
    }
}

fn create_and_start(table: &mut Table) -> Result<()> {
    let host = Host::new()?;
    // The first one makes the CA and finds out what accelerates here.
    let run = |words: &[&str]| -> Result<(f64, Value)> {
        let begun = Instant::now();
        let printed = host.machine().args(words).run()?.text()?;
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        Ok((
            took,
            serde_json::from_str(printed.lines().last().unwrap_or("null")).unwrap_or(Value::Null),
        ))
    };
    run(&["create", "--timings", "first"])?;
    run(&["rm", "-f", "-y", "first"])?;
    let (mut creates, mut starts) = (Vec::new(), Vec::new());
    let (mut create_parts, mut start_parts) = (Vec::new(), Vec::new());
    for _ in 0..MACHINES {
        let (took, parts) = run(&["create", "--timings", "x"])?;
        creates.push(took);
        create_parts.push(parts);
        run(&["stop", "x"])?;
        let (took, parts) = run(&["start", "--timings", "x"])?;
        starts.push(took);
        start_parts.push(parts);
        run(&["rm", "-f", "-y", "x"])?;
    }
    table.row("acceleration", create_parts[0]["acceleration"].to_string());
    table.times("create → ready", creates);
    table.times("create: the host's share", host_share(&create_parts));
    breakdown(table, "create", &create_parts);
    table.times("start → ready", starts);
    table.times("start: the host's share", host_share(&start_parts));
    breakdown(table, "start", &start_parts);
    Ok(())
}

/// Steps that happen in the guest, or in QEMU on its behalf.
const GUEST_STEPS: [&str; 4] = ["kernel", "init", "daemon", "api"];

/// The host's share of each run: all but the guest's steps.
fn host_share(runs: &[Value]) -> Vec<f64> {
    let sum = |run: &Value| {
        let parts = run["timings"].as_array().into_iter().flatten();
        let own = parts.filter(|part| !GUEST_STEPS.contains(&part["step"].as_str().unwrap_or("")));
        own.filter_map(|part| part["milliseconds"].as_f64()).sum()
    };
    runs.iter().map(sum).collect()
}

/// What the command itself takes, and how long a machine needs to sleep and wake.
fn host_side(table: &mut Table) -> Result<()> {
    let machine = Machine::create("dev", &["--memory", "1024"])?;
    let timed = |words: &[&str], times: usize| -> Result<Vec<f64>> {
        let run = || -> Result<f64> {
            let begun = Instant::now();
            machine.host.machine().args(words).run()?.ok()?;
            Ok(begun.elapsed().as_secs_f64() * 1000.0)
        };
        (0..times).map(|_| run()).collect()
    };
    table.times("env of a running machine", timed(&["env", "--shell", "sh", "dev"], 20)?);
    table.times("status", timed(&["status", "dev"], 20)?);
    let (mut suspends, mut resumes, mut size) = (Vec::new(), Vec::new(), 0);
    for _ in 0..MACHINES {
        suspends.extend(timed(&["suspend", "dev"], 1)?);
        size = machine.directory().join("memory.state").metadata()?.len();
        resumes.extend(timed(&["start", "dev"], 1)?);
    }
    table.times("suspend, idle, 1 GiB", suspends);
    table.times("start from there", resumes);
    table.row("saved memory, idle, 1 GiB", format!("{} MiB", size >> 20));

    let mut names: Vec<String> = (0..17).map(|number| format!("stopped{number}")).collect();
    names
        .iter()
        .try_for_each(|name| machine.host.machine().args(["clone", "dev", name]).run()?.ok())?;
    for name in ["hung1", "hung2"] {
        machine.host.machine().args(["create", "--memory", "256", name]).run()?.ok()?;
        let record = machine.host.storage().join("machines").join(name).join("vm.json");
        let record: Value = serde_json::from_slice(&std::fs::read(record)?)?;
        let pid = record["qemu"]["pid"].as_u64().context("no pid")?.to_string();
        std::process::Command::new("kill").args(["-STOP", &pid]).run()?.ok()?;
        names.push(name.to_owned());
    }
    table.times("ls of 20 machines, 2 of them hung, 17 stopped", timed(&["ls"], 10)?);
    let mut rm = machine.host.machine();
    rm.args(["rm", "-f", "-y"]).args(&names).run()?.ok()
}

/// The median of each part.
fn breakdown(table: &mut Table, of: &str, runs: &[Value]) {
    let Some(first) = runs.first().and_then(|run| run["timings"].as_array()) else { return };
    for (index, part) in first.iter().enumerate() {
        let mut values: Vec<f64> =
            runs.iter().filter_map(|run| run["timings"][index]["milliseconds"].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        if let (Some(name), Some(median)) = (part["step"].as_str(), values.get(values.len() / 2)) {
            table.row(format!("{of}: {name}"), format!("{median:.0} ms"));
        }
    }
}

fn containers(machine: &Machine, table: &mut Table) -> Result<()> {
    machine.docker(["load"]).run_with(&busybox()?)?.ok()?;
    table.times("docker version", repeat(machine, &["version"], 10)?);
    table.times(
        "docker run --rm busybox true",
        repeat(machine, &["run", "--rm", "busybox", "true"], CONTAINERS)?,
    );
    machine.docker(["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]).run()?.ok()?;
    table.times("docker exec runs true", repeat(machine, &["exec", "runs", "true"], CONTAINERS)?);
    machine.docker(["rm", "-f", "runs"]).run()?.ok()
}

fn repeat(machine: &Machine, words: &[&str], times: usize) -> Result<Vec<f64>> {
    (0..times)
        .map(|_| {
            let begun = Instant::now();
            machine.docker(words.iter().copied()).run()?.ok()?;
            Ok(begun.elapsed().as_secs_f64() * 1000.0)
        })
        .collect()
}

fn memory(machine: &Machine, table: &mut Table) -> Result<()> {
    let info = machine.ssh(["cat", "/proc/meminfo"]).run()?.text()?;
    let kib = |name: &str| -> Result<u64> {
        let line = info.lines().find(|line| line.starts_with(name)).context("no such line")?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
    };
    let used = kib("MemTotal:")? - kib("MemAvailable:")?;
    table.row("guest memory in use when idle", format!("{} MiB", used / 1024));
    let resident =
        machine.ssh(["grep VmRSS /proc/[0-9]*/status; grep -H Name: /proc/[0-9]*/status"]).run()?;
    let daemon = resident
        .stdout
        .lines()
        .filter(|line| line.contains("VmRSS"))
        .filter_map(|line| line.split_whitespace().rev().nth(1)?.parse::<u64>().ok());
    table.row(
        "largest process of the guest",
        format!("{} MiB resident", daemon.max().unwrap_or(0) / 1024),
    );
    Ok(())
}

fn image(table: &mut Table) -> Result<()> {
    let directory = machine_e2e::host::workspace().join("target/release/image/x86_64");
    let manifest: Value = serde_json::from_slice(&std::fs::read(directory.join("manifest.json"))?)?;
    for role in ["kernel", "initramfs", "disk"] {
        let file = &manifest["files"][role];
        let packed = &file["packed"]["size"];
        table.row(format!("image: {role}"), format!("{} bytes, packed {packed}", file["size"]));
    }
    Ok(())
}
