//! Network namespaces that live as files: made by a thread that moves into a new one and ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rtnetlink::Handle;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use tokio::runtime;
use tokio::sync::oneshot;

const THIS_THREADS: &str = "/proc/thread-self/ns/net";

/// Makes a namespace at `path` and returns it with a netlink connection into it.
pub(crate) async fn create(path: PathBuf) -> io::Result<(OwnedFd, Handle)> {
    let (answer, result) = oneshot::channel();
    let runtime = runtime::Handle::current();
    // A thread of its own: it can never come back out of the new namespace.
    std::thread::Builder::new().name("netns".to_owned()).spawn(move || {
        // When nobody waits any more there is nobody to tell.
        answer.send(create_here(&path, &runtime)).ok();
    })?;
    result.await.map_err(|_| io::Error::other("the thread in the new namespace ended early"))?
}

fn create_here(path: &Path, runtime: &runtime::Handle) -> io::Result<(OwnedFd, Handle)> {
    OpenOptions::new().write(true).create_new(true).open(path)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    mount_bind(THIS_THREADS, path)?;
    // Containers have no IPv6 yet, and must not take routes from their neighbours if they get it.
    for (setting, value) in [("disable_ipv6", "1"), ("accept_ra", "0")] {
        let file = format!("/proc/sys/net/ipv6/conf/default/{setting}");
        match std::fs::write(file, value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let namespace = File::open(THIS_THREADS)?;
    // A socket belongs to the namespace of the thread that made it, whoever uses it afterwards.
    let (connection, handle, _) = {
        let _context = runtime.enter();
        rtnetlink::new_connection()?
    };
    runtime.spawn(connection);
    Ok((namespace.into(), handle))
}

/// Removes the namespace at `path`; it ends when the last process in it has.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match unmount(path, UnmountFlags::DETACH) {
        // Not mounted: left by a creation that failed half way.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
