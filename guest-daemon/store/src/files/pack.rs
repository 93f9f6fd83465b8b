//! `docker cp` out of a container: what is at a path as a tar stream.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, OFlags, Stat};

use super::words::said;
use super::{PathStat, base, clean, open};
use crate::beneath;
use crate::tar_write::TarWriter;
use crate::walk::{Tree, walk};

/// What was found at a path and will be packed.
#[derive(Debug)]
pub struct Packing {
    stat: PathStat,
    entry: OwnedFd,
    raw: Stat,
    /// What the path's last part is called in the archive.
    name: Vec<u8>,
}

impl Packing {
    /// Opens a path. One that ends in `/` or `/.` means what a link leads to, and the latter the
    /// content of a folder without its name.
    pub fn open(root: impl AsFd, path: &str) -> io::Result<Self> {
        let path = preserve_ending(&clean(path).to_string_lossy(), path);
        let entry = open(&root, Path::new(&path), OFlags::PATH | OFlags::NOFOLLOW)
            .map_err(|error| said("lstat", &path, &error.into()))?;
        let raw = rustix::fs::fstat(&entry)?;
        let stat = PathStat::opened(&root, &path, &entry, &raw)?;
        let name = match base(&path) {
            "/" => Vec::new(),
            name => name.as_bytes().to_owned(),
        };
        Ok(Self { stat, entry, raw, name })
    }

    pub fn stat(&self) -> &PathStat {
        &self.stat
    }

    /// Writes the archive. May block on the writer.
    pub fn write(self, writer: impl Write) -> io::Result<()> {
        let mut archive = TarWriter::new(writer);
        archive.add(&self.name, &self.entry, &self.raw)?;
        if FileType::from_raw_mode(self.raw.st_mode) == FileType::Directory {
            let folder = beneath::reopen(&self.entry, OFlags::RDONLY | OFlags::DIRECTORY)?;
            walk(Tree::Mounted, vec![folder], &mut |path, entry, stat| {
                let mut name = self.name.clone();
                name.push(b'/');
                name.extend_from_slice(path.as_os_str().as_bytes());
                archive.add(&name, entry, stat)
            })?;
        }
        archive.finish()?.flush()
    }
}

/// A cleaned path with the `/` or `/.` that the given one ends in.
fn preserve_ending(cleaned: &str, given: &str) -> String {
    let mut path = cleaned.to_owned();
    let says_itself = base(given) == "." || given.is_empty();
    if (says_itself || given.ends_with('/')) && !path.ends_with('/') {
        path.push('/');
    }
    if says_itself {
        path.push('.');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_path_stays_what_it_was() {
        for (given, kept) in [
            ("/a/b", "/a/b"),
            ("a/../b/", "/b/"),
            ("/a/.", "/a/."),
            ("/", "/"),
            ("/.", "/."),
            (".", "/."),
            ("../../x", "/x"),
        ] {
            assert_eq!(preserve_ending(&clean(given).to_string_lossy(), given), kept, "{given}");
        }
    }
}
