//! Containers whose users are others in the guest.
//!
//! Files keep on the disk the owners that the container sees; mounts of their own translate. So an
//! image is unpacked once, and a volume can be used with and without.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use engine::ports::UserMap;
use nix::libc;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::thread::{CapabilitySets, capabilities, set_capabilities};

use crate::channel::{Answer, Order, Task};
use crate::starter::Starter;

/// A user namespace with one map, for all containers of this daemon.
#[derive(Debug, Default)]
pub(crate) struct UserNamespace(OnceLock<OwnedFd>);

impl UserNamespace {
    /// It lives as long as somebody has it open or is in it.
    pub(crate) fn get(&self, starter: &Starter, map: UserMap) -> io::Result<&OwnedFd> {
        if let Some(known) = self.0.get() {
            return Ok(known);
        }
        let made = make(starter, map)?;
        // If another thread was faster, its namespace is the same.
        Ok(self.0.get_or_init(|| made))
    }
}

/// Whoever is the first in a namespace cannot say who its users are; so a process is made that
/// only waits.
fn make(starter: &Starter, map: UserMap) -> io::Result<OwnedFd> {
    let flag = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let order = Order { task: Task::Wait, namespaces: flag };
    let everybodys = File::open("/sys/fs/cgroup")?;
    let conversation = starter.begin(&order, everybodys.as_fd(), None, &(), &[])?;
    let Answer::Running { pid, .. } = conversation.first()?.0 else {
        return Err(io::Error::other("the process that holds the user namespace did not start"));
    };
    let line = format!("0 {} {}\n", map.first, map.count);
    std::fs::write(format!("/proc/{pid}/uid_map"), &line)?;
    std::fs::write(format!("/proc/{pid}/gid_map"), &line)?;
    Ok(File::open(format!("/proc/{pid}/ns/user"))?.into())
}

/// What this thread makes from now on belongs to the container's root. It may do all that it might
/// before.
pub(crate) fn make_files_for(first: u32) -> io::Result<()> {
    setfsgid(Gid::from_raw(first));
    setfsuid(Uid::from_raw(first));
    let CapabilitySets { permitted, inheritable, .. } = capabilities(None)?;
    Ok(set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable })?)
}

/// Does something as [`make_files_for`]; afterwards this thread is the guest's root again.
pub(crate) fn with_files_for<T>(first: u32, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            setfsuid(Uid::from_raw(0));
            setfsgid(Gid::from_raw(0));
        }
    }
    let _back = Back;
    make_files_for(first)?;
    work()
}

/// Owners in a file system's options, as the guest counts.
pub(crate) fn owners(options: &mut [String], first: u32) {
    for option in options {
        let Some((name, number)) = option.split_once('=') else { continue };
        if let ("uid" | "gid", Ok(number)) = (name, number.parse::<u32>()) {
            *option = format!("{name}={}", first.saturating_add(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_in_options_are_the_guests() {
        let mut options = ["uid=5", "gid=0", "mode=755", "ro"].map(str::to_owned);
        owners(&mut options, 100_000);
        assert_eq!(options, ["uid=100005", "gid=100000", "mode=755", "ro"]);
    }
}
