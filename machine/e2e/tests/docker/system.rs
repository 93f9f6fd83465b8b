//! The engine about itself.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("version_shows_the_engine", version),
    ("info_describes_this_machine", info),
    ("what_is_not_built_says_so", not_built),
    ("an_unknown_path_is_not_found", unknown_path),
];

fn version(on: &Fixture) -> Result<()> {
    let api =
        on.text(&["version", "--format", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}"])?;
    ensure!(api == "1.51 1.24", "{api}");
    let os = on.text(&["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"])?;
    ensure!(os == "linux/amd64", "{os}");
    on.docker(["version"]).run()?.ok()
}

fn info(on: &Fixture) -> Result<()> {
    let facts =
        on.text(&["info", "--format", "{{.Name}} {{.Driver}} {{.CgroupVersion}} {{.NCPU}}"])?;
    ensure!(facts.starts_with("docker overlay2 2 "), "{facts}");
    let plain = on.docker(["info"]).run()?;
    ensure!(plain.text()?.contains("Kernel Version: 6.12"), "{plain}");
    ensure!(!plain.stderr.contains("ERROR"), "{plain}");
    Ok(())
}

fn not_built(on: &Fixture) -> Result<()> {
    let removed = on.docker(["plugin", "rm", "x"]).run()?;
    ensure!(removed.code != 0, "{removed}");
    removed.says("not implemented").map(drop)
}

fn unknown_path(on: &Fixture) -> Result<()> {
    let swarm = on.docker(["node", "ls"]).run()?;
    swarm.says("This node is not a swarm manager").map(drop)
}
