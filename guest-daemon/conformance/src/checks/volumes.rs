//! What outlives containers.

use anyhow::{Result, ensure};

use super::Check;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("a_named_volume_keeps_its_content", kept),
    Check::new("a_new_volume_takes_the_images_content", copied_up),
    Check::new("a_used_volume_is_not_removed", used),
    Check::new("anonymous_volumes_go_with_their_container", anonymous),
    Check::new("volumes_from_shares_them", shared),
    Check::new("an_image_is_mounted_and_kept", image_mounted),
];

fn kept(engine: &Engine) -> Result<()> {
    let write = ["run", "--rm", "-v", "volume-kept:/v", "busybox", "sh", "-c", "echo kept >/v/f"];
    engine.text(&write)?;
    let said =
        engine.text(&["run", "--rm", "-v", "volume-kept:/v:ro", "busybox", "cat", "/v/f"])?;
    let refused =
        engine.run(&["run", "--rm", "-v", "volume-kept:/v:ro", "busybox", "touch", "/v/g"])?;
    engine.text(&["volume", "rm", "volume-kept"])?;
    ensure!(said == "kept", "{said}");
    refused.fails(1, "Read-only file system")
}

fn copied_up(engine: &Engine) -> Result<()> {
    let read = |flags: &[&str]| {
        engine.text(&[&["run", "--rm"], flags, &["elaborate:1", "ls /data"]].concat())
    };
    let copied = read(&["-v", "volume-copied:/data"]);
    engine.text(&["volume", "rm", "volume-copied"])?;
    let not_copied = read(&["-v", "volume-copied:/data:nocopy"]);
    engine.text(&["volume", "rm", "volume-copied"])?;
    ensure!(copied? == "of-image" && not_copied?.is_empty());
    Ok(())
}

fn used(engine: &Engine) -> Result<()> {
    engine.text(&["create", "--name", "volume-user", "-v", "volume-used:/v", "busybox"])?;
    let refused = engine.run(&["volume", "rm", "volume-used"])?;
    engine.text(&["rm", "volume-user"])?;
    engine.text(&["volume", "rm", "volume-used"])?;
    refused.fails(1, "remove volume-used: volume is in use - [")
}

fn anonymous(engine: &Engine) -> Result<()> {
    let create = ["create", "--name", "volume-anonymous", "-v", "/v", "busybox"];
    engine.text(&create)?;
    let name = "{{range .Mounts}}{{.Name}}{{end}}";
    let volume = engine.text(&["inspect", "--format", name, "volume-anonymous"])?;
    engine.text(&["volume", "inspect", &volume])?;
    engine.text(&["rm", "--volumes", "volume-anonymous"])?;
    engine.run(&["volume", "inspect", &volume])?.fails(1, "no such volume")
}

fn shared(engine: &Engine) -> Result<()> {
    let create = ["create", "--name", "volume-owner", "-v", "/v", "busybox"];
    engine.text(&create)?;
    let with = ["run", "--rm", "--volumes-from", "volume-owner", "busybox", "sh", "-c"];
    engine.text(&[&with[..], &["echo shared >/v/f"]].concat())?;
    let said = engine.text(&[&with[..], &["cat /v/f"]].concat());
    engine.text(&["rm", "--volumes", "volume-owner"])?;
    ensure!(said? == "shared");
    Ok(())
}

fn image_mounted(engine: &Engine) -> Result<()> {
    let mount = "type=image,src=elaborate:1,dst=/i,image-subpath=data";
    let inside = |script: &str| {
        engine.run(&["run", "--rm", "--mount", mount, "busybox", "sh", "-c", script])
    };
    let seen = inside("ls /i")?;
    ensure!(seen.stdout.trim() == "of-image", "{seen:?}");
    inside("touch /i/x")?.fails(1, "Read-only file system")?;
    engine.text(&["tag", "elaborate:1", "mounted:1"])?;
    let whole = "type=image,src=mounted:1,dst=/i";
    engine.text(&["create", "--name", "image-mounter", "--mount", whole, "busybox"])?;
    let shown =
        "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}} {{.Propagation}}{{end}}";
    let shown = engine.text(&["inspect", "--format", shown, "image-mounter"])?;
    let absent = format!("{whole},image-subpath=absent");
    let refused = engine.run(&["run", "--rm", "--mount", &absent, "busybox", "true"])?;
    engine.text(&["rm", "image-mounter"])?;
    engine.text(&["rmi", "mounted:1"])?;
    ensure!(shown == "image mounted:1 /i false rprivate", "{shown}");
    refused.fails(127, "cannot access path ")
}
