//! Many machines and many commands at once, and commands that are killed at any moment.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Host, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("of_many_creates_of_one_name_one_wins", one_wins),
    ("many_creates_of_different_names_all_succeed", all_succeed),
    ("ls_tells_hung_crashed_half_made_and_stopped_machines_apart", told_apart),
    ("two_commands_on_one_machine_do_not_spoil_it", two_at_once),
];

const FLAGS: &[&str] = &["create", "--accel", "tcg", "--cpu-count", "1", "--memory", "256"];
const MANY: usize = 20;

fn spawn(host: &Host, name: &str) -> Result<Child> {
    let mut create = host.machine();
    create.args(FLAGS).args(["--timeout", "600", name]);
    let child = create.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.context("create")
}

fn rm_all(host: &Host) -> Result<()> {
    host.machine().args(["rm", "-f", "-y", "--all"]).run()?.ok()
}

fn one_wins(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let creates: Vec<Child> = (0..MANY).map(|_| spawn(&host, "one")).collect::<Result<_>>()?;
    let mut won = 0;
    for mut create in creates {
        won += usize::from(create.wait()?.success());
    }
    ensure!(won == 1, "{won} have won");
    ensure!(host.machine().args(["status", "one"]).run()?.text()? == "Running");
    host.machine().args(["ssh", "one", "--", "true"]).run()?.ok()?;
    rm_all(&host)
}

fn all_succeed(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    let names: Vec<String> = (0..MANY).map(|number| format!("m{number}")).collect();
    let creates: Vec<Child> = names.iter().map(|name| spawn(&host, name)).collect::<Result<_>>()?;
    for (mut create, name) in creates.into_iter().zip(&names) {
        ensure!(create.wait()?.success(), "{name} was not created");
    }
    let urls = names.iter().map(|name| host.machine().args(["url", name]).run()?.text());
    let urls = urls.collect::<Result<std::collections::BTreeSet<String>>>()?;
    ensure!(urls.len() == MANY, "{urls:?}");
    let listed = host.machine().args(["ls", "-q"]).run()?.text()?;
    ensure!(listed.lines().map(str::to_owned).eq(names), "not in natural order: {listed}");
    rm_all(&host)
}

fn qemu(host: &Host, name: &str) -> Result<String> {
    let record = host.storage().join("machines").join(name).join("vm.json");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record)?)?;
    Ok(record["qemu"]["pid"].as_u64().context("no pid")?.to_string())
}

fn told_apart(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    for name in ["runs", "hangs", "crashed"] {
        host.machine().args(FLAGS).arg(name).run()?.ok()?;
    }
    host.machine().args(["clone", "runs", "stopped"]).run()?.ok()?;
    std::fs::create_dir(host.storage().join("machines/halfmade"))?;
    Command::new("kill").args(["-STOP", &qemu(&host, "hangs")?]).run()?.ok()?;
    Command::new("kill").args(["-9", &qemu(&host, "crashed")?]).run()?.ok()?;

    // Patient, because what runs may be slow to answer on a busy host.
    let ls = ["ls", "--timeout", "5", "--format", "{{.Name}} {{.State}}"];
    let listed = host.machine().args(ls).run()?.text()?;
    let state = |name: &str| -> Result<String> {
        let line = listed.lines().find(|line| line.split(' ').next() == Some(name));
        Ok(line.with_context(|| listed.clone())?.to_owned())
    };
    ensure!(state("runs")? == "runs Running", "{listed}");
    ensure!(state("stopped")? == "stopped Stopped", "{listed}");
    ensure!(state("crashed")? == "crashed Stopped", "{listed}");
    ensure!(state("hangs")? == "hangs Error", "{listed}");
    ensure!(state("halfmade")? == "halfmade Error", "{listed}");

    // What is to be done next works, whatever the state.
    host.machine().args(["start", "crashed"]).run()?.ok()?;
    host.machine().args(["kill", "hangs"]).run()?.ok()?;
    host.machine().args(["start", "hangs"]).run()?.ok()?;
    host.machine().args(["rm", "-f", "-y", "halfmade"]).run()?.ok()?;
    rm_all(&host)
}

fn two_at_once(_: &Machine) -> Result<()> {
    let host = Host::new()?;
    host.machine().args(FLAGS).arg("x").run()?.ok()?;
    for pair in [["stop", "restart"], ["start", "stop"], ["kill", "start"], ["start", "start"]] {
        let mut commands = pair.map(|word| {
            let mut command = host.machine();
            command.args([word, "x"]).stdout(Stdio::null()).stderr(Stdio::null());
            command
        });
        let mut children = Vec::new();
        for command in &mut commands {
            children.push(command.spawn()?);
        }
        for mut child in children {
            child.wait()?;
        }
        let state = host.machine().args(["status", "x"]).run()?.text()?;
        ensure!(state == "Running" || state == "Stopped", "{pair:?}: {state}");
    }
    if host.machine().args(["status", "x"]).run()?.text()? == "Stopped" {
        host.machine().args(["start", "x"]).run()?.ok()?;
    }
    host.machine().args(["ssh", "x", "--", "true"]).run()?.ok()?;
    rm_all(&host)
}
