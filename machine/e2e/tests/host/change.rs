//! Machines that are changed, copied, renamed and moved.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("cpus_and_memory_change_at_the_next_start", changed),
    ("a_clone_is_a_machine_of_its_own", cloned),
    ("a_renamed_machine_is_the_same_one", renamed),
    ("an_exported_machine_can_be_imported_elsewhere", moved),
    ("a_configuration_file_makes_a_machine", configured),
    ("upgrade_and_provision_leave_a_good_machine_alone", upgraded),
];

fn machine(on: &Machine, words: &[&str]) -> Result<()> {
    on.host.machine().args(words).run()?.ok()
}

fn docker_of(on: &Machine, name: &str, words: &[&str]) -> Result<String> {
    let docker = machine_e2e::host::docker("forky")?;
    on.host.machine().args(["exec", name, "--"]).arg(docker).args(words).run()?.text()
}

fn changed(on: &Machine) -> Result<()> {
    machine(on, &["set", "dev", "--memory", "640MB"])?;
    machine(on, &["restart", "dev"])?;
    let memory = on.docker(["info", "--format", "{{.MemTotal}}"]).run()?.text()?.parse::<u64>()?;
    ensure!((500..=640).contains(&(memory / 1024 / 1024)), "{memory}");
    Ok(())
}

fn cloned(on: &Machine) -> Result<()> {
    on.docker(["volume", "create", "precious"]).run()?.ok()?;
    machine(on, &["clone", "dev", "twin"])?;
    ensure!(on.host.machine().args(["status", "twin"]).run()?.text()? == "Stopped");
    machine(on, &["start", "twin"])?;
    let volumes = docker_of(on, "twin", &["volume", "ls", "-q"])?;
    ensure!(volumes.contains("precious"), "{volumes}");
    ensure!(docker_of(on, "twin", &["info", "-f", "{{.Name}}"])? == "twin");
    let key =
        |name: &str| std::fs::read(on.host.storage().join("machines").join(name).join("key.pem"));
    ensure!(key("dev")? != key("twin")?, "the clone has the key of the original");
    ensure!(
        docker_of(on, "dev", &["info", "-f", "{{.ID}}"])?
            != docker_of(on, "twin", &["info", "-f", "{{.ID}}"])?
    );
    on.docker(["volume", "rm", "precious"]).run()?.ok()
}

fn renamed(on: &Machine) -> Result<()> {
    let running = on.host.machine().args(["rename", "twin", "other"]).run()?;
    ensure!(running.code == 5, "{running}");
    machine(on, &["stop", "twin"])?;
    machine(on, &["rename", "twin", "other"])?;
    on.host.machine().args(["status", "twin"]).run()?.code(4)?;
    machine(on, &["start", "other"])?;
    ensure!(docker_of(on, "other", &["info", "-f", "{{.Name}}"])? == "other");
    let contexts =
        on.host.with_storage(std::process::Command::new(machine_e2e::host::docker("forky")?));
    let listed = { contexts }.args(["context", "ls", "--format", "{{.Name}}"]).run()?.text()?;
    ensure!(!listed.contains("twin") && listed.contains("other"), "{listed}");
    Ok(())
}

fn moved(on: &Machine) -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("other.machine");
    on.host.machine().args(["export", "other"]).arg(&file).run()?.ok()?;
    let again = on.host.machine().args(["export", "other"]).arg(&file).run()?;
    ensure!(again.code != 0, "a file was replaced: {again}");
    machine(on, &["rm", "-f", "-y", "other"])?;

    let elsewhere = machine_e2e::Host::new()?;
    elsewhere.machine().arg("import").arg(&file).run()?.ok()?;
    ensure!(elsewhere.machine().args(["ls", "-q"]).run()?.text()? == "other");
    let there = Machine::attach_after_start(elsewhere, "other")?;
    let volumes = there.docker(["volume", "ls", "-q"]).run()?.text()?;
    ensure!(volumes.contains("precious"), "{volumes}");
    Ok(())
}

fn configured(on: &Machine) -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("machine.yaml");
    let text = "cpus: 1\nmemory: 512MB\nacceleration: tcg\nengine:\n  labels: [shape=round]\n";
    std::fs::write(&file, text)?;
    on.host.machine().args(["create", "-f"]).arg(&file).arg("filed").run()?.ok()?;
    let labels = docker_of(on, "filed", &["info", "-f", "{{.Labels}}"])?;
    ensure!(labels.contains("shape=round"), "{labels}");
    let shown = on.host.machine().args(["show", "filed"]).run()?.text()?;
    ensure!(shown.contains("shape=round"), "{shown}");
    machine(on, &["rm", "-f", "-y", "filed"])?;
    std::fs::write(&file, "cpus: 1\nmemroy: 512MB\n")?;
    let refused = on.host.machine().args(["create", "-f"]).arg(&file).arg("filed").run()?;
    ensure!(refused.code == 2, "{refused}");
    refused.says("memroy")?.says("line 2")?;
    on.host.machine().args(["status", "filed"]).run()?.code(4).map(drop)
}

fn upgraded(on: &Machine) -> Result<()> {
    on.docker(["run", "-d", "--name", "stays", "busybox", "sleep", "1000"]).run()?.ok()?;
    machine(on, &["upgrade", "dev"])?;
    machine(on, &["provision", "dev"])?;
    let running = on.docker(["inspect", "-f", "{{.State.Running}}", "stays"]).run()?.text()?;
    ensure!(running == "true");
    on.docker(["rm", "-f", "stays"]).run()?.ok()
}
