//! Images by hand: names, archives, removal.

use anyhow::{Context, Result, ensure};

use super::Check;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("names_are_given_and_taken", names),
    Check::new("a_used_image_is_not_removed", used),
    Check::new("a_saved_image_loads_as_the_same", save_and_load),
    Check::new("an_image_is_found_by_any_of_its_names", lookup),
];

fn names(engine: &Engine) -> Result<()> {
    engine.text(&["tag", "spare:1", "image-names:1"])?;
    engine.text(&["tag", "spare:1", "localhost:5000/image-names:2"])?;
    let listed =
        engine.text(&["images", "--format", "{{.Repository}}:{{.Tag}}", "*image-names"])?;
    let said = engine.text(&["rmi", "image-names:1", "localhost:5000/image-names:2"])?;
    ensure!(listed == "image-names:1", "{listed}");
    ensure!(said == "Untagged: image-names:1\nUntagged: localhost:5000/image-names:2", "{said}");
    Ok(())
}

fn used(engine: &Engine) -> Result<()> {
    engine.text(&["create", "--name", "image-user", "spare:1"])?;
    let id = engine.text(&["inspect", "--format", "{{.Id}}", "spare:1"])?;
    let refused = engine.run(&["rmi", &id])?;
    engine.text(&["rm", "image-user"])?;
    refused.fails(1, "conflict: unable to delete")
}

fn save_and_load(engine: &Engine) -> Result<()> {
    let host = tempfile::tempdir()?;
    let archive = host.path().join("image.tar");
    let archive = archive.to_str().context("path")?;
    let before = engine.text(&["inspect", "--format", "{{.Id}}", "spare:1"])?;
    engine.text(&["tag", "spare:1", "image-saved:1"])?;
    engine.text(&["save", "--output", archive, "image-saved:1"])?;
    engine.text(&["rmi", "image-saved:1"])?;
    let said = engine.text(&["load", "--input", archive])?;
    let after = engine.text(&["inspect", "--format", "{{.Id}}", "image-saved:1"])?;
    engine.text(&["rmi", "image-saved:1"])?;
    ensure!(before == after && said == "Loaded image: image-saved:1", "{before} {after} {said}");
    Ok(())
}

fn lookup(engine: &Engine) -> Result<()> {
    let id = engine.text(&["inspect", "--format", "{{.Id}}", "elaborate:1"])?;
    let short = &id["sha256:".len()..][..12];
    let others = [
        "docker.io/library/elaborate:1",
        "library/elaborate:1",
        "example.com/team/elaborate",
        &id,
        short,
    ];
    for name in others {
        let found = engine.text(&["image", "inspect", "--format", "{{.Id}}", name])?;
        ensure!(found == id, "{name}: {found}");
    }
    Ok(())
}
