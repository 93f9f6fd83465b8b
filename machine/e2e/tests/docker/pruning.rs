//! Making room: `image prune` and `system prune`, each for things with its own label.

use std::sync::PoisonError;

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, archive};
use serde_json::json;

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("an_image_is_pruned_when_it_has_no_name_or_no_use", images),
    ("a_system_is_pruned_of_containers_and_their_images", system),
];

/// An image of its own with a layer of its own.
fn load(on: &Fixture, name: &str, label: &str) -> Result<()> {
    let config = json!({"Cmd": ["/x"], "Labels": {"check": label}});
    let image =
        archive::docker_archive(name, config, &[archive::layer(&[("x", name.as_bytes())])?])?;
    on.docker(["load"]).run_with(&image)?.ok()
}

fn images(on: &Fixture) -> Result<()> {
    let _alone = on.prunes.lock().unwrap_or_else(PoisonError::into_inner);
    load(on, "prunable:1", "image-prune")?;
    load(on, "prunable:2", "image-prune")?;
    on.text(&["tag", "prunable:2", "prunable:1"])?;
    let prune = |flags: &[&str]| {
        let filter = ["--filter", "label=check=image-prune"];
        on.text(&[&["image", "prune", "-f"], flags, &filter].concat())
    };
    let pruned = prune(&[])?;
    ensure!(pruned.contains("deleted: sha256:"), "{pruned}");
    ensure!(pruned.ends_with("Total reclaimed space: 10B"), "{pruned}");
    on.text(&["create", "--name", "prune-user", "prunable:1"])?;
    let pruned = prune(&["-a"])?;
    ensure!(pruned.contains("untagged: prunable:"), "one of the two names can go: {pruned}");
    on.text(&["rm", "prune-user"])?;
    let pruned = prune(&["-a"])?;
    ensure!(pruned.ends_with("Total reclaimed space: 10B"), "{pruned}");
    let left = on.text(&["images", "-q", "prunable"])?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

fn system(on: &Fixture) -> Result<()> {
    let _alone = on.prunes.lock().unwrap_or_else(PoisonError::into_inner);
    load(on, "system-pruned:1", "system-prune")?;
    let id = on.text(&["create", "system-pruned:1"])?;
    let pruned =
        on.text(&["system", "prune", "-a", "-f", "--filter", "label=check=system-prune"])?;
    ensure!(pruned.contains("Deleted Containers:") && pruned.contains(&id), "{pruned}");
    ensure!(pruned.contains("untagged: system-pruned:1"), "{pruned}");
    ensure!(pruned.contains("Total reclaimed space: 15B"), "{pruned}");
    on.docker(["image", "inspect", "system-pruned:1"]).run()?.code(1).map(drop)
}
