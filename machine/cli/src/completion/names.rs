//! The names of machines, as their directories tell them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap_complete::engine::CompletionCandidate;

/// The supervisor's record of a VM, there as long as it runs.
const RUNNING: &str = "vm.json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those that seem to run; if none does, all.
    Running,
}

pub(super) fn names(which: Which) -> Vec<CompletionCandidate> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let Some(root) = storage(&words) else { return Vec::new() };
    let candidates = found(&root.join("machines"), which);
    candidates.into_iter().map(CompletionCandidate::new).collect()
}

pub(super) fn found(directory: &Path, which: Which) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut all: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    all.sort();
    if which == Which::Running {
        let running: Vec<String> = all
            .iter()
            .filter(|name| directory.join(name).join(RUNNING).exists())
            .cloned()
            .collect();
        if !running.is_empty() {
            return running;
        }
    }
    all
}

/// What the line being typed says, else what a command would use.
fn storage(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if matches!(word, "-s" | "--storage-path" | "-storage-path") {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.strip_prefix("--storage-path=") {
            return Some(path.into());
        }
    }
    std::env::var_os("MACHINE_STORAGE_PATH")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(dirs::home_dir()?.join(".machine")))
}
