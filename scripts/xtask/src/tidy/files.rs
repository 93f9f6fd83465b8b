//! Length, first lines and names of source files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Longer files have more than one purpose. Files of tests may be longer.
const MAX_LINES: usize = 400;

/// Names that say what kind of thing something is instead of what it is for.
const BANNED: &[&str] =
    &["manager", "helper", "helpers", "util", "utils", "common", "base", "misc"];

/// The only crates in which `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "guest-daemon/process/",
    "guest-daemon/init/",
    "guest-daemon/runtime/",
    "guest-daemon/network/",
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in sources(root)? {
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {shown}"))?;
        findings.extend(examine(&shown, &text));
    }
    Ok(findings)
}

fn examine(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let is_test = path.contains("tests") || path.contains("/e2e/");
    let lines = text.lines().count();
    if lines > MAX_LINES && !is_test {
        findings.push(format!("{path}: {lines} lines, at most {MAX_LINES}"));
    }
    if !text.starts_with("//!") && !text.starts_with("#!") && !is_test {
        findings.push(format!("{path}: the first line does not say what the file is for"));
    }
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if BANNED.contains(&stem) {
        findings.push(format!("{path}: '{stem}' does not say what it is for"));
    }
    let says_unsafe = text.lines().any(|line| {
        let line = line.trim_start();
        !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe fn"))
    });
    if says_unsafe
        && !UNSAFE.iter().any(|folder| path.starts_with(folder))
        && !path.contains("xtask")
    {
        findings.push(format!("{path}: unsafe outside the crates that may have it"));
    }
    findings
}

/// Every Rust file that git knows or would add.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root)
        .output()
        .context("asking git for the files")?;
    let names = String::from_utf8(listed.stdout).context("names of files")?;
    Ok(names.lines().map(|name| root.join(name)).filter(|path| path.exists()).collect())
}

#[cfg(test)]
mod tests {
    use super::examine;

    #[test]
    fn a_long_file_and_a_vague_name_are_found() {
        let long = format!("//! x\n{}", "\n".repeat(500));
        assert_eq!(examine("machine/cli/src/util.rs", &long).len(), 2);
        assert!(examine("machine/cli/src/ls.rs", "//! x\n").is_empty());
    }
}
