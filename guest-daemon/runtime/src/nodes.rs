//! The guest's device nodes, which privileged containers get.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{major, minor};

use crate::plan::Node;

/// Directories that every container has of its own, and the guest's own console.
const NOT_GIVEN: [&str; 5] = ["pts", "shm", "fd", "mqueue", "console"];

/// Every device node beneath a directory.
pub(crate) fn all(directory: &Path) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    collect(directory, &mut nodes)?;
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(nodes)
}

fn collect(directory: &Path, nodes: &mut Vec<Node>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if NOT_GIVEN.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), nodes)?;
        } else if kind.is_block_device() || kind.is_char_device() {
            let metadata = entry.metadata()?;
            nodes.push(Node {
                path: entry.path(),
                is_block: kind.is_block_device(),
                major: major(metadata.rdev()),
                minor: minor(metadata.rdev()),
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid(),
                gid: metadata.gid(),
            });
        }
    }
    Ok(())
}
