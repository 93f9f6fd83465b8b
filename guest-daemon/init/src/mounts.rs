//! The new root and the mount table.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::console::event;

/// One filesystem of the guest.
struct Entry {
    target: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
    need: Need,
}

/// What a failure means.
#[derive(PartialEq, Eq)]
enum Need {
    Required,
    /// Kernels may lack it.
    Optional,
}

const NOSUID_NODEV: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);
const INERT: MsFlags = NOSUID_NODEV.union(MsFlags::MS_NOEXEC);

/// Mounted in this order.
const TABLE: &[Entry] = &[
    required("/proc", "proc", INERT, ""),
    required("/sys", "sysfs", INERT, ""),
    required("/dev", "devtmpfs", MsFlags::MS_NOSUID, "mode=0755"),
    required(
        "/dev/pts",
        "devpts",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        "gid=5,mode=620,ptmxmode=666",
    ),
    required("/dev/shm", "tmpfs", NOSUID_NODEV, "mode=1777"),
    optional("/dev/mqueue", "mqueue", INERT, ""),
    required("/run", "tmpfs", NOSUID_NODEV, "mode=0755"),
    required("/tmp", "tmpfs", NOSUID_NODEV, "mode=1777"),
    required("/root", "tmpfs", NOSUID_NODEV, "mode=0700"),
    required("/sys/fs/cgroup", "cgroup2", INERT, "nsdelegate"),
    optional("/sys/fs/bpf", "bpf", INERT, "mode=0700"),
    // What a container registers is forgotten with the last mount.
    optional("/proc/sys/fs/binfmt_misc", "binfmt_misc", INERT, ""),
];

const fn required(
    target: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
) -> Entry {
    Entry { target, kind, flags, options, need: Need::Required }
}

const fn optional(
    target: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
) -> Entry {
    Entry { target, kind, flags, options, need: Need::Optional }
}

/// Puts a mount of the initial root filesystem over itself and moves into it.
///
/// A container's pivot_root(2) is refused as long as the root is the initial one, which is no
/// mount that could be detached. A bind mount of the same files is one, and costs no copy.
pub(crate) fn leave_initial_root() -> io::Result<()> {
    let none = None::<&str>;
    create_directory("/newroot", 0o755)?;
    mount(Some("/"), "/newroot", none, MsFlags::MS_BIND, none)?;
    nix::unistd::chdir("/newroot")?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none)?;
    nix::unistd::chroot(".")?;
    nix::unistd::chdir("/")?;
    Ok(())
}

/// Mounts the table.
pub(crate) fn mount_all() -> io::Result<()> {
    for entry in TABLE {
        let mounted = mount_entry(entry);
        match mounted {
            Err(error) if entry.need == Need::Required => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("{} on {}: {error}", entry.kind, entry.target),
                ));
            }
            Err(error) => {
                event!(Warn, "not mounted", path = entry.target, because = error);
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// What is mounted from now on shows wherever a container asked for that, as on a machine with
/// systemd. Containers have copies of their own that are apart unless they ask.
pub(crate) fn share() -> io::Result<()> {
    let none = None::<&str>;
    Ok(mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)?)
}

/// Names that programs expect in /dev and the kernel does not make.
pub(crate) fn link_devices() -> io::Result<()> {
    for (target, path) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        link(target, path)?;
    }
    Ok(())
}

/// A symbolic link; one that is there already stays.
pub(crate) fn link(target: &str, path: &str) -> io::Result<()> {
    match std::os::unix::fs::symlink(target, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn mount_entry(entry: &Entry) -> io::Result<()> {
    if !Path::new(entry.target).is_dir() {
        create_directory(entry.target, 0o755)?;
    }
    mount(Some(entry.kind), entry.target, Some(entry.kind), entry.flags, Some(entry.options))?;
    Ok(())
}

/// Makes the root read-only, so that no container that finds a way to our program's file, as
/// through /proc/self/exe, can overwrite it.
pub(crate) fn protect_root() -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?;
    Ok(())
}

/// Hands every controller the kernel has down to the containers' groups.
pub(crate) fn delegate_controllers() -> io::Result<()> {
    let available = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?;
    // One at a time: a controller that cannot be enabled must not cost the others.
    for controller in available.split_ascii_whitespace() {
        let enabled = fs::write("/sys/fs/cgroup/cgroup.subtree_control", format!("+{controller}"));
        if let Err(error) = enabled {
            event!(Warn, "controller not enabled", controller = controller, because = error);
        }
    }
    Ok(())
}

pub(crate) fn create_directory(path: &str, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    // Whatever the umask made of it.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Mount points at or beneath a directory, those mounted last first.
pub(crate) fn mounted_beneath(mounts: &str, directory: &str) -> Vec<String> {
    let mut found: Vec<String> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(unescape)
        .filter(|target| Path::new(target).starts_with(directory))
        .collect();
    found.reverse();
    found
}

/// /proc/mounts writes spaces, tabs, line ends and backslashes as `\` and three octal digits.
fn unescape(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if bytes[at] == b'\\' => {
                plain.push(byte);
                at += 4;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_mounted_last_is_unmounted_first() {
        let mounts = "proc /proc proc rw 0 0\n\
                      /dev/vda /var/lib/docker ext4 rw 0 0\n\
                      overlay /var/lib/docker/a\\040b overlay rw 0 0\n\
                      tmpfs /var/lib/docker2 tmpfs rw 0 0\n";
        assert_eq!(
            mounted_beneath(mounts, "/var/lib/docker"),
            ["/var/lib/docker/a b", "/var/lib/docker"]
        );
    }

    #[test]
    fn names_that_only_look_escaped_stay_as_they_are() {
        assert_eq!(unescape("a\\134040"), "a\\040");
        assert_eq!(unescape("100"), "100");
        assert_eq!(unescape("end\\"), "end\\");
    }

    #[test]
    fn every_mount_point_lies_on_something_mounted_before_it() {
        for (index, entry) in TABLE.iter().enumerate() {
            let later = TABLE[index + 1..].iter();
            for other in later {
                assert!(
                    !Path::new(entry.target).starts_with(other.target),
                    "{} would be hidden by {}",
                    entry.target,
                    other.target
                );
            }
        }
    }
}
