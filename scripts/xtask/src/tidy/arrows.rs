//! The arrows between our crates. A new one is a decision: it gets a line here, in a commit of its
//! own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

/// Crate → the crates of ours that it may depend on, outside tests.
const ALLOWED: &[(&str, &[&str])] = &[
    // Both sides.
    ("boot", &[]),
    // The host.
    ("certs", &[]),
    ("vm-images", &[]),
    ("machine-store", &[]),
    ("machine-qemu", &[]),
    ("machine-lifecycle", &["boot", "certs", "machine-store", "vm-images"]),
    ("machine-supervisor", &["boot", "machine-lifecycle", "machine-qemu", "machine-store"]),
    ("machine-clients", &["machine-store"]),
    (
        "machine-cli",
        &[
            "machine-clients",
            "machine-lifecycle",
            "machine-qemu",
            "machine-store",
            "machine-supervisor",
            "vm-images",
        ],
    ),
    ("machine-e2e", &[]),
    // The guest.
    ("guest-process", &[]),
    ("guest-init", &["boot", "guest-process"]),
    ("guest-agent", &["guest-init", "guest-process"]),
    ("guest-ssh", &["boot", "guest-process"]),
    ("engine-store", &[]),
    ("engine", &["engine-store"]),
    ("engine-api", &[]),
    ("engine-http", &["engine", "engine-api"]),
    ("engine-runtime", &["engine", "guest-init", "guest-process"]),
    ("engine-network", &["engine"]),
    ("engine-tls", &[]),
    ("engine-syslog", &["engine", "engine-tls"]),
    ("engine-registry", &["engine", "engine-tls"]),
    (
        "daemon",
        &[
            "boot",
            "engine",
            "engine-http",
            "engine-network",
            "engine-registry",
            "engine-runtime",
            "engine-store",
            "engine-syslog",
            "engine-tls",
            "guest-agent",
            "guest-init",
            "guest-process",
            "guest-ssh",
        ],
    ),
    // Knows the engine from outside only.
    ("engine-conformance", &[]),
    // Development.
    ("fuzz", &[]),
    ("xtask", &[]),
];

/// One line for each arrow that is not allowed.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let manifests = manifests(root)?;
    let ours: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut findings = Vec::new();
    for (name, manifest) in &manifests {
        let Some(allowed) = allowed.get(name.as_str()) else {
            findings.push(format!("{name}: a crate without a line in the table of arrows"));
            continue;
        };
        for dependency in dependencies(manifest) {
            if ours.contains(dependency) && !allowed.contains(&dependency) {
                findings.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    Ok(findings)
}

fn dependencies(manifest: &toml::Table) -> Vec<&str> {
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.keys().map(String::as_str))
        .collect()
}

fn manifests(root: &Path) -> Result<BTreeMap<String, toml::Table>> {
    let workspace = read(&root.join("Cargo.toml"))?;
    let members = workspace["workspace"]["members"].as_array().context("no members")?;
    let mut manifests = BTreeMap::new();
    for member in members {
        let folder = member.as_str().context("a member that is no text")?;
        let manifest = read(&root.join(folder).join("Cargo.toml"))?;
        let name = manifest["package"]["name"].as_str().context("a crate without a name")?;
        manifests.insert(name.to_owned(), manifest);
    }
    Ok(manifests)
}

fn read(path: &Path) -> Result<toml::Table> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))
}
