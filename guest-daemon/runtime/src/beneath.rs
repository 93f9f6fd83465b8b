//! Files inside a root that is not to be trusted: every path is resolved by the kernel as if the
//! root were `/`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};
use rustix::io::Errno;

const FLAGS: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens a root.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens a path beneath a root.
pub(crate) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    // The path is taken from the root, whether it begins with a slash or not.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), FLAGS)?)
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_file(root: BorrowedFd<'_>, path: &str, limit: u64) -> io::Result<Vec<u8>> {
    // Without blocking, because a FIFO would.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(root, Path::new(path), flags)?;
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::from(file).take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any honest one"));
    }
    Ok(bytes)
}

/// Makes a directory and its parents, as far as they are missing.
pub(crate) fn create_dir_all(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match open(root, path, flags) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(drop),
    }
    let mut done = PathBuf::new();
    let mut parent = open(root, Path::new(""), flags)?;
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        done.push(name);
        parent = match open(root, &done, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match mkdirat(parent.as_fd(), name, Mode::from_raw_mode(0o755)) {
                    // A dangling link is here: making what it points to is not asked for.
                    Ok(()) | Err(Errno::EXIST) => open(root, &done, flags)?,
                    Err(error) => return Err(error.into()),
                }
            }
            other => other?,
        };
    }
    Ok(())
}

/// Whether nothing or a real directory is at a path: no link on the way, no file at its end.
pub(crate) fn is_plain_directory(root: BorrowedFd<'_>, path: &str) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(_) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::LOOP | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn directories_are_made_inside_the_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let root = open_root(dir.path()).unwrap();
        create_dir_all(root.as_fd(), Path::new("/a/b/c")).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        create_dir_all(root.as_fd(), Path::new("/a/b/c")).unwrap();

        symlink(outside.path(), dir.path().join("out")).unwrap();
        create_dir_all(root.as_fd(), Path::new("/out/x")).unwrap_err();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);

        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("/real", dir.path().join("link")).unwrap();
        create_dir_all(root.as_fd(), Path::new("link/x")).unwrap();
        assert!(dir.path().join("real/x").is_dir(), "an absolute link begins at the root");
    }

    #[test]
    fn dots_do_not_leave_the_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        let root = open_root(&dir.path().join("root")).unwrap();
        read_file(root.as_fd(), "../secret", 10).unwrap_err();
        create_dir_all(root.as_fd(), Path::new("/../../up")).unwrap();
        assert!(dir.path().join("root/up").is_dir());
    }

    #[test]
    fn links_and_files_are_not_plain_directories() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("sys"), "").unwrap();
        symlink("/proc", dir.path().join("dev")).unwrap();
        let root = open_root(dir.path()).unwrap();
        for (path, plain) in [("proc", true), ("sys", false), ("dev", false), ("missing", true)] {
            assert_eq!(is_plain_directory(root.as_fd(), path).unwrap(), plain, "{path}");
        }
    }

    #[test]
    fn the_largest_file_that_fits_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "12345").unwrap();
        let root = open_root(dir.path()).unwrap();
        assert_eq!(read_file(root.as_fd(), "/f", 5).unwrap(), b"12345");
        read_file(root.as_fd(), "/f", 4).unwrap_err();
    }
}
