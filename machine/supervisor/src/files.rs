//! The names of what the supervisor keeps in a machine's directory.
//!
//! The supervisor and QEMU run *in* that directory and use these names as they are, because a unix
//! socket's path may have no more than about a hundred bytes.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// Held by the supervisor as long as it lives.
pub(crate) const LOCK: &str = "./supervisor.lock";
/// How long a supervisor that was killed may still hold the lock: its last thread lets go of it,
/// which may be after the process has become a zombie.
pub(crate) const LAST_BREATH: Duration = Duration::from_millis(500);
pub(crate) const SUPERVISOR_SOCKET: &str = "./supervisor.sock";
pub(crate) const SUPERVISOR_LOG: &str = "./supervisor.log";
/// A [`crate::vm::Record`].
pub(crate) const VM_RECORD: &str = "./vm.json";
pub(crate) const QMP_SOCKET: &str = "./qmp.sock";
pub(crate) const CONTROL_SOCKET: &str = "./control.sock";
pub(crate) const AGENT_SOCKET: &str = "./agent.sock";
/// The API as a plain socket, for tools that look for one.
pub(crate) const DOCKER_SOCKET: &str = "./docker.sock";
/// Through which QEMU's memory comes and goes while it is saved or loaded.
pub(crate) const STATE_SOCKET: &str = "./state.sock";
pub(crate) const CONSOLE_LOG: &str = "./console.log";
pub(crate) const EARLIER_CONSOLE_LOG: &str = "./console.log.1";
/// QEMU's own complaints.
pub(crate) const QEMU_LOG: &str = "./qemu.log";

/// What must not be left when nothing runs.
const OF_A_RUNNING_VM: [&str; 6] =
    [VM_RECORD, QMP_SOCKET, CONTROL_SOCKET, AGENT_SOCKET, DOCKER_SOCKET, STATE_SOCKET];

/// How the names of files begin that are not complete yet, or not valid any more.
pub(crate) const PARTIAL: &str = ".saving-";
/// The same, of a socket that cannot be used yet.
const PARTIAL_SOCKET: &str = ".opening-";

/// Removes what a VM that is gone has left.
pub(crate) fn sweep(directory: &Path) {
    for name in OF_A_RUNNING_VM {
        // Most often it is not there.
        std::fs::remove_file(directory.join(name)).ok();
    }
    sweep_partial(directory);
}

/// Removes what somebody who was killed has not completed.
pub(crate) fn sweep_partial(directory: &Path) {
    for file in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = file.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PARTIAL) || name.starts_with(PARTIAL_SOCKET) {
            std::fs::remove_file(file.path()).ok();
        }
    }
}

/// Listens in the working directory, in place of whatever is left there, for this user alone. Who
/// finds the name can connect, and nobody else: it appears when that is so.
pub(crate) fn listen(name: &str) -> io::Result<tokio::net::UnixListener> {
    let partial = format!("{PARTIAL_SOCKET}{}", name.trim_start_matches("./"));
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&partial)?;
    std::fs::set_permissions(&partial, PermissionsExt::from_mode(0o600))?;
    std::fs::rename(&partial, name)?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// The longest socket path that every system takes.
const LONGEST_SOCKET_PATH: usize = 100;

/// Connects to a socket in a directory whose path may be too long for one.
pub(crate) fn connect(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let path = directory.join(name);
    if path.as_os_str().len() <= LONGEST_SOCKET_PATH {
        return UnixStream::connect(path);
    }
    let detour = tempfile::Builder::new().prefix("m").tempdir_in("/tmp")?;
    let link = detour.path().join("d");
    std::os::unix::fs::symlink(std::path::absolute(directory)?, &link)?;
    UnixStream::connect(link.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_in_a_deep_directory_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let link = root.path().join("s");
        std::os::unix::fs::symlink(&deep, &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(link.join("x.sock")).unwrap();
        connect(&deep, "./x.sock").unwrap();
    }

    #[test]
    fn a_sweep_takes_only_what_belongs_to_a_running_vm() {
        let directory = tempfile::tempdir().unwrap();
        for name in [VM_RECORD, DOCKER_SOCKET, ".saving-x", ".opening-x", "disk.qcow2", CONSOLE_LOG]
        {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        sweep(directory.path());
        let left = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 2);
    }
}
