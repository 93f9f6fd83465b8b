//! Tells the program of which commit it is, so that `machine version` can say it.
//!
//! `MACHINE_BUILD` says it where there is no repository; the same commit always makes the same
//! program.

use std::path::{Path, PathBuf};

/// As long as git's own short form in large repositories.
const LENGTH: usize = 8;

fn main() {
    println!("cargo::rerun-if-env-changed=MACHINE_BUILD");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("MACHINE_BUILD").ok().filter(|build| is_plain(build));
    let (commit, watched) = match given {
        Some(build) => (Some(build), Vec::new()),
        None => commit(),
    };
    for path in watched {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rustc-env=MACHINE_BUILD={}", commit.as_deref().unwrap_or("unknown"));
}

/// The commit that is checked out, and the files in which that may change.
fn commit() -> (Option<String>, Vec<PathBuf>) {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let Some(git) = manifest.ancestors().map(|folder| folder.join(".git")).find(|git| git.is_dir())
    else {
        return (None, Vec::new());
    };
    let mut watched = vec![git.join("HEAD")];
    let Ok(head) = std::fs::read_to_string(git.join("HEAD")) else { return (None, watched) };
    let id = match head.trim().strip_prefix("ref: ") {
        None => Some(head.trim().to_owned()),
        Some(reference) => {
            watched.extend([git.join(reference), git.join("packed-refs")]);
            of_reference(&git, reference)
        }
    };
    // A file that is not there would have the script run at each build.
    watched.retain(|path| path.exists());
    let short = id.and_then(|id| id.get(..LENGTH).map(str::to_owned));
    (short.filter(|id| is_plain(id)), watched)
}

fn of_reference(git: &Path, reference: &str) -> Option<String> {
    if let Ok(id) = std::fs::read_to_string(git.join(reference)) {
        return Some(id.trim().to_owned());
    }
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (id, name) = line.split_once(' ')?;
        (name == reference).then(|| id.to_owned())
    })
}

/// It goes into the program and onto terminals.
fn is_plain(build: &str) -> bool {
    !build.is_empty()
        && build.len() <= 64
        && build.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}
