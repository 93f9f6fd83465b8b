//! The images that the checks use, as `docker save` would write them.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// docker-py's tests call their image alpine.
const NAMES: &[&str] = &["busybox:latest", "alpine:3.10", "alpine:latest"];

/// An image whose names the checks may change.
pub(crate) fn spare() -> Result<Vec<u8>> {
    let config = json!({"Cmd": ["sh"], "Labels": {"of.spare": "yes"}});
    let history = json!([{"created": "2026-01-01T00:00:00Z", "created_by": "by hand"}]);
    archive(&["spare:1"], &config, &history, &[busybox_layer()?])
}

/// A static busybox under all of its names.
pub(crate) fn busybox() -> Result<Vec<u8>> {
    let config = json!({"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]});
    let history = json!([{"created": "2026-01-01T00:00:00Z", "created_by": "by hand"}]);
    archive(NAMES, &config, &history, &[busybox_layer()?])
}

/// An image that uses every field of a configuration.
pub(crate) fn elaborate() -> Result<Vec<u8>> {
    let config = json!({
        "User": "app:extra",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Env": ["PATH=/usr/bin:/bin", "EMPTY="],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["sleep 100"],
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 1_000_000_000_i64, "Retries": 2},
        "Volumes": {"/data": {}},
        "WorkingDir": "/work",
        "Labels": {"of.image": "yes"},
        "StopSignal": "SIGUSR1",
        "Shell": ["/bin/sh", "-ec"],
        "OnBuild": ["RUN true"],
    });
    let history = json!([
        {"created": "2026-01-01T00:00:00Z", "created_by": "by hand", "comment": "first"},
        {"created": "2026-01-01T00:00:01Z", "created_by": "ENV EMPTY=", "empty_layer": true},
        {"created": "2026-01-01T00:00:02Z", "created_by": "COPY data /data"},
    ]);
    let mut second = tar::Builder::new(Vec::new());
    folder(&mut second, "data", 0o755)?;
    file(&mut second, "data/of-image", 0o644, b"from the image\n")?;
    let layers = [busybox_layer()?, second.into_inner()?];
    archive(&["elaborate:1", "example.com/team/elaborate:latest"], &config, &history, &layers)
}

fn busybox_layer() -> Result<Vec<u8>> {
    let program = "/bin/busybox";
    let busybox = std::fs::read(program).context("busybox-static is not installed")?;
    let applets = Command::new(program).arg("--list").output()?;
    let mut layer = tar::Builder::new(Vec::new());
    for name in
        ["bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var", "var/opt"]
    {
        folder(&mut layer, name, 0o755)?;
    }
    folder(&mut layer, "tmp", 0o1777)?;
    let users = b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\napp:x:1000:1000::/home:/bin/sh\npostgres:x:70:70::/:/bin/sh\n";
    file(&mut layer, "etc/passwd", 0o644, users)?;
    file(
        &mut layer,
        "etc/group",
        0o644,
        b"root:x:0:\ndaemon:x:1:\napp:x:1000:\npostgres:x:70:\nextra:x:2000:app\n",
    )?;
    file(&mut layer, "bin/busybox", 0o755, &busybox)?;
    for applet in String::from_utf8(applets.stdout)?.lines().filter(|name| *name != "busybox") {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    Ok(layer.into_inner()?)
}

fn archive(names: &[&str], config: &Value, history: &Value, layers: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut digests = Vec::new();
    let mut files = Vec::new();
    for layer in layers {
        let digest = hex::encode(Sha256::digest(layer));
        let name = format!("{digest}/layer.tar");
        file(&mut archive, &name, 0o644, layer)?;
        digests.push(format!("sha256:{digest}"));
        files.push(name);
    }
    let config = json!({
        "architecture": "amd64",
        "author": "somebody",
        "config": config,
        "created": "2026-01-01T00:00:00Z",
        "history": history,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": digests},
    })
    .to_string();
    let config_name = format!("{}.json", hex::encode(Sha256::digest(&config)));
    file(&mut archive, &config_name, 0o644, config.as_bytes())?;
    let manifest = json!([{"Config": config_name, "RepoTags": names, "Layers": files}]);
    file(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes())?;
    Ok(archive.into_inner()?)
}

fn folder(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(mode);
    header.set_size(0);
    Ok(archive.append_data(&mut header, path, std::io::empty())?)
}

fn file(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    Ok(archive.append_data(&mut header, path, content)?)
}
