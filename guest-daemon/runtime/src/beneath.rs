//! Files inside a root that is not to be trusted: every path is resolved by the kernel as if the
//! root were `/`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, readlinkat,
};
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
    Ok(resolve(root, path, flags, FLAGS)?)
}

/// Whether something is at a path beneath a root, and no link on the way leads out of it; that is
/// an error of kind `CrossesDevices`.
pub(crate) fn check_inside(root: &Path, path: &str) -> io::Result<()> {
    let root = open_root(root)?;
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(resolve(root.as_fd(), Path::new(path), OFlags::PATH, rules).map(drop)?)
}

/// When something is renamed or mounted anywhere meanwhile, the kernel cannot tell whether `..`
/// led out, and says to try again. There is nothing to wait for, so the tries are counted.
fn resolve(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    rules: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    const TRIES: usize = 128;
    let attempt = || openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), rules);
    for _ in 1..TRIES {
        match attempt() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    attempt()
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_file(root: BorrowedFd<'_>, path: &str, limit: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening some devices has effects.
    check_regular(&open(root, Path::new(path), OFlags::PATH)?)?;
    // Without blocking, because a FIFO would.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(root, Path::new(path), flags)?;
    check_regular(&file)?;
    let mut bytes = Vec::new();
    File::from(file).take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any honest one"));
    }
    Ok(bytes)
}

fn check_regular(file: &OwnedFd) -> io::Result<()> {
    match FileType::from_raw_mode(fstat(file)?.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file")),
    }
}

/// Makes an empty file, and the directories it is in, unless there is something. Where a link
/// leads nowhere, the file is made where it leads, as images have it with /etc/resolv.conf.
pub(crate) fn create_file(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match open(root, &path, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(drop),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        create_dir_all(root, parent)?;
        let directory = open(root, parent, OFlags::PATH | OFlags::DIRECTORY)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&directory, name, flags, Mode::from_raw_mode(0o644)) {
            Err(Errno::EXIST) => {}
            other => return Ok(other.map(drop)?),
        }
        let link = readlinkat(&directory, name, Vec::new())?;
        path = parent.join(OsStr::from_bytes(link.as_bytes()));
    }
    Err(Errno::LOOP.into())
}

/// Makes a directory and its parents, as far as they are missing. Where a link leads nowhere, they
/// are made where it leads.
pub(crate) fn create_dir_all(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    create_directories(root, path, LINKS)
}

/// As many links as the kernel follows.
const LINKS: usize = 40;

fn create_directories(root: BorrowedFd<'_>, path: &Path, links: usize) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match open(root, path, flags) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(drop),
    }
    let mut done = PathBuf::new();
    let mut parent = open(root, Path::new(""), flags)?;
    for component in path.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            _ => continue,
        };
        let before = done.clone();
        done.push(name);
        parent = match open(root, &done, flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match mkdirat(parent.as_fd(), name, Mode::from_raw_mode(0o755)) {
                    Ok(()) => {}
                    Err(Errno::EXIST) => {
                        let left = links.checked_sub(1).ok_or(Errno::LOOP)?;
                        let link = readlinkat(&parent, name, Vec::new())?;
                        let target = before.join(OsStr::from_bytes(link.as_bytes()));
                        create_directories(root, &target, left)?;
                    }
                    Err(error) => return Err(error.into()),
                }
                open(root, &done, flags)?
            }
            other => other?,
        };
    }
    Ok(())
}

/// Whether nothing or a real directory is at a path: no link on the way, no file at its end.
pub(crate) fn is_plain_directory(root: BorrowedFd<'_>, path: &str) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match resolve(root, Path::new(path), flags, rules) {
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
        create_dir_all(root.as_fd(), Path::new("/out/x")).unwrap();
        let inside = outside.path().strip_prefix("/").unwrap();
        assert!(dir.path().join(inside).join("x").is_dir(), "where the link leads in the root");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);

        symlink("loop", dir.path().join("loop")).unwrap();
        create_dir_all(root.as_fd(), Path::new("/loop/x")).unwrap_err();
        symlink("../../up/b", dir.path().join("a/b/up")).unwrap();
        create_dir_all(root.as_fd(), Path::new("/a/b/up/c")).unwrap();
        assert!(dir.path().join("up/b/c").is_dir());
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("/real", dir.path().join("link")).unwrap();
        create_dir_all(root.as_fd(), Path::new("link/x")).unwrap();
        assert!(dir.path().join("real/x").is_dir(), "an absolute link begins at the root");
    }

    #[test]
    fn what_leads_out_of_the_root_is_told_apart_from_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sub/dir")).unwrap();
        symlink("../sub/./dir", dir.path().join("sub/good")).unwrap();
        symlink("/", dir.path().join("root")).unwrap();
        symlink("root", dir.path().join("bad")).unwrap();
        symlink("../..", dir.path().join("sub/up")).unwrap();
        let check = |path| check_inside(dir.path(), path).map_err(|error| error.kind());
        for inside in ["sub/dir", "sub/good", "sub/../sub", "."] {
            check(inside).unwrap();
        }
        for outside in ["bad", "root/etc", "sub/up", "../x"] {
            assert_eq!(check(outside), Err(io::ErrorKind::CrossesDevices), "{outside}");
        }
        assert_eq!(check("sub/none"), Err(io::ErrorKind::NotFound));
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
        create_dir_all(root.as_fd(), Path::new("/a/../b/c")).unwrap();
        assert!(dir.path().join("root/b/c").is_dir());
    }

    #[test]
    fn a_file_is_made_where_a_link_leads_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/etc")).unwrap();
        let root = open_root(&dir.path().join("root")).unwrap();
        symlink("../run/a/resolv.conf", dir.path().join("root/etc/resolv.conf")).unwrap();
        symlink("/../../../up", dir.path().join("root/etc/hosts")).unwrap();
        symlink("round", dir.path().join("root/etc/round")).unwrap();
        for path in ["/etc/resolv.conf", "/etc/hosts", "/new/file", "/etc/../other"] {
            create_file(root.as_fd(), Path::new(path)).unwrap();
        }
        for made in ["run/a/resolv.conf", "up", "new/file", "other"] {
            assert!(dir.path().join("root").join(made).is_file(), "{made}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing outside");
        create_file(root.as_fd(), Path::new("/etc/round")).unwrap_err();
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_root(dir.path()).unwrap();
        let fifo = dir.path().join("fifo");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        // Whoever opens a FIFO for reading lets a writer in.
        let error = read_file(root.as_fd(), "fifo", 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
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
