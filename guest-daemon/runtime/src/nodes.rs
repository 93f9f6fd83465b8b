//! The guest's device nodes that a container gets: all for a privileged one, else those asked for.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use engine::ports::{Device, DeviceAccess, DeviceKind as Kind, DeviceRule};
use rustix::fs::{major, minor};

use crate::device_filter::{DeviceKind, MKNOD, READ, Rule, WRITE};
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
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), nodes)?;
        } else {
            nodes.extend(node(&entry.metadata()?, entry.path()));
        }
    }
    Ok(())
}

/// What a device is; `None` when it is something else.
fn node(metadata: &Metadata, path: PathBuf) -> Option<Node> {
    let kind = metadata.file_type();
    (kind.is_block_device() || kind.is_char_device()).then(|| Node {
        path,
        is_block: kind.is_block_device(),
        major: major(metadata.rdev()),
        minor: minor(metadata.rdev()),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

/// The nodes for a device, or for all in a folder, and what is allowed with them.
pub(crate) fn given(device: &Device) -> io::Result<(Vec<Node>, Vec<Rule>)> {
    let source = std::fs::canonicalize(&device.source)?;
    let metadata = std::fs::metadata(&source)?;
    let mut nodes = Vec::new();
    if metadata.is_dir() {
        collect(&source, &mut nodes)?;
        for node in &mut nodes {
            let inside = node.path.strip_prefix(&source).unwrap_or(&node.path);
            node.path = Path::new(&device.destination).join(inside);
        }
    } else {
        nodes.extend(node(&metadata, PathBuf::from(&device.destination)));
    }
    if nodes.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a device node"));
    }
    let rules = nodes.iter().map(|node| Rule {
        kind: if node.is_block { DeviceKind::Block } else { DeviceKind::Character },
        major: Some(node.major),
        minor: Some(node.minor),
        access: access(device.access),
    });
    let rules = rules.collect();
    Ok((nodes, rules))
}

/// A rule of the user's in the filter's words.
pub(crate) fn rules(rule: &DeviceRule) -> Vec<Rule> {
    let kinds: &[DeviceKind] = match rule.kind {
        Kind::Any => &[DeviceKind::Block, DeviceKind::Character],
        Kind::Block => &[DeviceKind::Block],
        Kind::Character => &[DeviceKind::Character],
    };
    let (major, minor, access) = (rule.major, rule.minor, access(rule.access));
    kinds.iter().map(|kind| Rule { kind: *kind, major, minor, access }).collect()
}

fn access(access: DeviceAccess) -> u16 {
    let given = [(access.read, READ), (access.write, WRITE), (access.make, MKNOD)];
    given.into_iter().filter(|(is_given, _)| *is_given).fold(0, |all, (_, one)| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(source: &str) -> Device {
        let access = DeviceAccess { read: true, ..DeviceAccess::default() };
        Device { source: source.into(), destination: "/dev/x".into(), access }
    }

    #[test]
    fn a_device_may_only_be_used_as_was_said() {
        let (nodes, rules) = given(&device("/dev/null")).unwrap();
        assert_eq!((nodes.len(), nodes[0].path.to_str().unwrap()), (1, "/dev/x"));
        assert_eq!((nodes[0].major, nodes[0].minor), (1, 3));
        assert_eq!(rules[0].access, READ);
    }

    #[test]
    fn what_is_no_device_is_refused() {
        given(&device("/etc/passwd")).unwrap_err();
        let error = given(&device("/dev/nosuch")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_rule_for_any_kind_is_one_for_each() {
        let access = DeviceAccess { read: true, write: true, make: true };
        let rule = DeviceRule { kind: Kind::Any, major: None, minor: Some(1), access };
        assert_eq!(rules(&rule).len(), 2);
    }
}
