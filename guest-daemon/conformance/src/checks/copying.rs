//! Files go in and out; what a container changed becomes an image or an archive.

use anyhow::{Context, Result, ensure};

use super::Check;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_tree_goes_in_and_comes_out", there_and_back),
    Check::new("a_link_out_of_the_root_stays_inside", hostile_link),
    Check::new("changes_are_listed", changes),
    Check::new("a_committed_change_is_in_the_image", commit),
    Check::new("an_exported_root_can_be_imported", export),
];

/// A created container that is removed after `then`.
fn with_container<T>(
    engine: &Engine,
    name: &str,
    script: &str,
    then: impl FnOnce() -> Result<T>,
) -> Result<T> {
    engine.text(&["create", "--name", name, "busybox", "sh", "-c", script])?;
    let result = then();
    engine.text(&["rm", "--force", name])?;
    result
}

fn there_and_back(engine: &Engine) -> Result<()> {
    let host = tempfile::tempdir()?;
    let (tree, back) = (host.path().join("tree"), host.path().join("back"));
    std::fs::create_dir_all(tree.join("deep/er"))?;
    std::fs::write(tree.join("deep/er/file"), "content")?;
    std::os::unix::fs::symlink("deep/er/file", tree.join("link"))?;
    let (tree, back) = (tree.to_str().context("path")?, back.to_str().context("path")?);
    with_container(engine, "copy-tree", "cat /tmp/tree/link /tmp/new/link", || {
        engine.text(&["cp", tree, "copy-tree:/tmp"])?;
        engine.text(&["cp", &format!("{tree}/."), "copy-tree:/tmp/new"])?;
        let said = engine.text(&["start", "--attach", "copy-tree"])?;
        ensure!(said == "contentcontent", "{said}");
        engine.text(&["cp", "copy-tree:/tmp/tree", back])?;
        ensure!(std::fs::read_to_string(format!("{back}/link"))? == "content");
        engine
            .run(&["cp", "copy-tree:/absent", back])?
            .fails(1, "Could not find the file /absent in container copy-tree")
    })
}

fn hostile_link(engine: &Engine) -> Result<()> {
    let script = "ln -s ../../../../etc/of-host /tmp/link; ln -s / /tmp/root";
    with_container(engine, "copy-link", script, || {
        engine.text(&["start", "--attach", "copy-link"])?;
        let host = tempfile::tempdir()?;
        let file = host.path().join("file");
        std::fs::write(&file, "content")?;
        engine.text(&["cp", file.to_str().context("path")?, "copy-link:/tmp/root/put"])?;
        let out = engine.docker(&["cp", "copy-link:/put", "-"]);
        let _ = out;
        engine.text(&["cp", "copy-link:/put", &file.display().to_string()])?;
        ensure!(std::fs::read_to_string(&file)? == "content");
        Ok(())
    })
}

fn changes(engine: &Engine) -> Result<()> {
    let script = "mkdir /made; echo 1 >/made/file; echo 2 >>/etc/passwd; rm /etc/group";
    with_container(engine, "copy-changes", script, || {
        engine.text(&["start", "--attach", "copy-changes"])?;
        let mut said: Vec<String> =
            engine.text(&["diff", "copy-changes"])?.lines().map(str::to_owned).collect();
        said.sort();
        ensure!(
            said == ["A /made", "A /made/file", "C /etc", "C /etc/passwd", "D /etc/group"],
            "{said:?}"
        );
        Ok(())
    })
}

fn commit(engine: &Engine) -> Result<()> {
    with_container(engine, "copy-commit", "echo kept >/kept", || {
        engine.text(&["start", "--attach", "copy-commit"])?;
        let change = ["--change", "CMD [\"cat\", \"/kept\"]", "--change", "ENV A=1", "-m", "why"];
        engine.text(&[&["commit"], &change[..], &["copy-commit", "committed:1"]].concat())
    })?;
    let said = engine.text(&["run", "--rm", "committed:1"]);
    let comment =
        engine.text(&["inspect", "--format", "{{.Comment}} {{.Config.Env}}", "committed:1"]);
    engine.text(&["rmi", "committed:1"])?;
    ensure!(said? == "kept");
    ensure!(comment?.starts_with("why ["));
    Ok(())
}

fn export(engine: &Engine) -> Result<()> {
    let host = tempfile::tempdir()?;
    let archive = host.path().join("root.tar");
    let archive = archive.to_str().context("path")?;
    with_container(engine, "copy-export", "echo kept >/kept", || {
        engine.text(&["start", "--attach", "copy-export"])?;
        engine.text(&["export", "--output", archive, "copy-export"])
    })?;
    engine.text(&["import", "--change", "CMD [\"/bin/cat\", \"/kept\"]", archive, "imported:1"])?;
    let said = engine.text(&["run", "--rm", "imported:1"]);
    engine.text(&["rmi", "imported:1"])?;
    ensure!(said? == "kept");
    Ok(())
}
