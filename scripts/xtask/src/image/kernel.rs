//! The kernel: Debian's source, our configuration and patches, cached by content.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::sources::{Sources, fetch};

/// Raised whenever the steps below change what comes out of them.
const RECIPE: &str = "1";

/// Puts the stripped ELF kernel (with a PVH note) at `target`.
pub(super) fn build(root: &Path, sources: &Sources, cache: &Path, target: &Path) -> Result<()> {
    let recipe = root.join("images/kernel");
    let patches = patches(&recipe)?;
    let key = key(sources, &recipe, &patches)?;
    let kept = cache.join(format!("kernel-{key}"));
    if !kept.exists() {
        compile(sources, cache, &recipe, &patches, &kept)?;
    }
    super::place(&kept, target)
}

fn patches(recipe: &Path) -> Result<Vec<PathBuf>> {
    let mut patches: Vec<PathBuf> = std::fs::read_dir(recipe.join("patches"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    patches.sort();
    Ok(patches)
}

/// Names the kernel by everything that goes into it.
fn key(sources: &Sources, recipe: &Path, patches: &[PathBuf]) -> Result<String> {
    let compiler =
        Command::new("gcc").arg("-dumpfullversion").output().context("gcc is missing")?;
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    hash.update(&sources.kernel.sha256);
    hash.update(&compiler.stdout);
    for file in std::iter::once(&recipe.join("container-host.config")).chain(patches) {
        hash.update(std::fs::read(file).with_context(|| format!("reading {}", file.display()))?);
    }
    Ok(hex::encode(&hash.finalize()[..16]))
}

fn compile(
    sources: &Sources,
    cache: &Path,
    recipe: &Path,
    patches: &[PathBuf],
    kept: &Path,
) -> Result<()> {
    let source = &sources.kernel;
    let tarball = fetch(cache, &source.package, &source.version, &source.tarball, &source.sha256)?;
    let work = tempfile::tempdir_in(cache).context("making a work directory")?;
    super::run(Command::new("tar").arg("-xf").arg(&tarball).arg("-C").arg(work.path()))?;
    let tree = std::fs::read_dir(work.path())?.next().context("an empty tarball")??.path();
    for patch in patches {
        super::run(Command::new("patch").args(["-p1", "-s", "-i"]).arg(patch).current_dir(&tree))?;
    }
    configure(&tree, &recipe.join("container-host.config"))?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    super::run(make(&tree).arg(format!("-j{jobs}")).arg("-s").arg("vmlinux"))?;
    let stripped = work.path().join("vmlinux.stripped");
    super::run(Command::new("strip").arg("-s").arg("-o").arg(&stripped).arg(tree.join("vmlinux")))?;
    std::fs::rename(&stripped, kept).with_context(|| format!("keeping {}", kept.display()))
}

fn configure(tree: &Path, fragment: &Path) -> Result<()> {
    super::run(make(tree).arg("-s").arg("tinyconfig"))?;
    super::run(
        Command::new("scripts/kconfig/merge_config.sh")
            .args(["-m", "-Q", ".config"])
            .arg(fragment)
            .current_dir(tree)
            .stdout(std::process::Stdio::null()),
    )?;
    super::run(make(tree).arg("-s").arg("olddefconfig"))?;
    let result = std::fs::read_to_string(tree.join(".config"))?;
    let fragment = std::fs::read_to_string(fragment)?;
    let missing = unmet(&fragment, &result);
    if !missing.is_empty() {
        bail!("the kernel's own rules drop these options: {}", missing.join(", "));
    }
    Ok(())
}

/// The lines of a fragment that did not make it into the configuration.
fn unmet<'a>(fragment: &'a str, config: &str) -> Vec<&'a str> {
    let lines: std::collections::HashSet<&str> = config.lines().collect();
    fragment
        .lines()
        .filter(|line| line.starts_with("CONFIG_") && !line.ends_with("=n"))
        .filter(|line| !lines.contains(line))
        .collect()
}

/// `make` with everything pinned that would leak the builder's machine into the kernel.
fn make(tree: &Path) -> Command {
    let mut command = Command::new("make");
    command
        .current_dir(tree)
        .env("KBUILD_BUILD_USER", "machine")
        .env("KBUILD_BUILD_HOST", "machine")
        .env("KBUILD_BUILD_VERSION", "1")
        .env("KBUILD_BUILD_TIMESTAMP", format!("@{}", super::EPOCH))
        .env("SOURCE_DATE_EPOCH", super::EPOCH.to_string())
        .env("LC_ALL", "C")
        .env_remove("MAKEFLAGS");
    command
}

#[cfg(test)]
mod tests {
    use super::unmet;

    #[test]
    fn an_option_that_kconfig_dropped_is_named() {
        let config = "CONFIG_A=y\n# CONFIG_B is not set\n";
        assert_eq!(unmet("CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=n\n", config), ["CONFIG_B=y"]);
    }
}
