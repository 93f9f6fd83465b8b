//! Starts QEMU with the sockets it shall answer on.
//!
//! ```text
//!  us    bind, listen ──► connect (succeeds at once) ───────────► read greeting
//!           │ descriptor inherited                                   ▲
//!  QEMU     └──────────────► exec ──► accept ────────────────────────┘
//! ```
//! The sockets listen before QEMU exists, so nobody ever waits for a path to appear, and they
//! have paths, so that another process can take over later.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::process::{Child, Command};

/// A listening socket for QEMU, and our connection to it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    stream: UnixStream,
}

impl Socket {
    /// Listens at `path`, in place of whatever is left there, for this user alone.
    pub fn create(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
        let stream = UnixStream::connect(path)?;
        stream.set_nonblocking(true)?;
        Ok(Self { listener, stream })
    }

    /// The number QEMU is told.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.listener.as_raw_fd()
    }

    /// Our connection. From here on only QEMU listens, so its end is the stream's end.
    pub fn into_stream(self) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::from_std(self.stream)
    }
}

/// Starts QEMU in `directory`, with its complaints going to `log`. It outlives this process, in
/// the same session.
pub fn launch(
    program: &Path,
    arguments: &[String],
    directory: &Path,
    sockets: &[&Socket],
    log: File,
) -> io::Result<Child> {
    for socket in sockets {
        fcntl_setfd(socket.listener.as_fd(), FdFlags::empty())?;
    }
    let child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    for socket in sockets {
        fcntl_setfd(socket.listener.as_fd(), FdFlags::CLOEXEC)?;
    }
    child
}
