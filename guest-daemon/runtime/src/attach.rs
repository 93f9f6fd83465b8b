//! Mounts as descriptors: made apart, given their attributes, then attached where they belong.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::mount_options::{Attributes, Options};

/// Nothing may be written through the mount.
pub(crate) const READ_ONLY: Attributes =
    Attributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY, clear: MountAttrFlags::empty() };

/// A new file system.
pub(crate) fn new(kind: &str, source: &str, options: &Options) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let configure = || -> io::Result<OwnedFd> {
        fsconfig_set_string(&context, "source", source)?;
        for option in &options.data {
            match option.split_once('=') {
                Some((name, value)) => fsconfig_set_string(&context, name, value)?,
                None => fsconfig_set_flag(&context, option)?,
            }
        }
        fsconfig_create(&context)?;
        Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes.set)?)
    };
    configure().map_err(|error| explained(&context, error))
}

/// What is at a path in the guest, with the mounts beneath it if `recursive`.
pub(crate) fn tree(source: impl rustix::path::Arg, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(CWD, source, flags)?)
}

/// What is behind a descriptor, without the mounts beneath it.
pub(crate) fn copy(of: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(of, "", flags)?)
}

/// Attaches a mount over what is behind a descriptor.
pub(crate) fn attach(mount: &OwnedFd, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", target, "", flags)?)
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Changes attributes of a mount; with `AT_RECURSIVE` among the flags, also of those beneath it.
pub(crate) fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    flags: libc::c_int,
) -> io::Result<()> {
    let arguments = MountAttributes {
        set: attributes.set.bits().into(),
        clear: attributes.clear.bits().into(),
        propagation: 0,
        user_namespace: 0,
    };
    change(mount, &arguments, flags)
}

/// Has a mount that is nowhere yet, and those beneath it, take what is mounted at their originals
/// without giving anything back.
pub(crate) fn make_slave(mount: &OwnedFd) -> io::Result<()> {
    propagate(mount, libc::MS_SLAVE)
}

/// Has a mount that is nowhere yet, and those beneath it, know nothing of their originals.
pub(crate) fn make_private(mount: &OwnedFd) -> io::Result<()> {
    propagate(mount, libc::MS_PRIVATE)
}

fn propagate(mount: &OwnedFd, propagation: u64) -> io::Result<()> {
    let arguments = MountAttributes { set: 0, clear: 0, propagation, user_namespace: 0 };
    change(mount.as_fd(), &arguments, libc::AT_RECURSIVE)
}

/// Has a mount that is nowhere yet show owners as a user namespace does.
pub(crate) fn map_owners(mount: &OwnedFd, users: BorrowedFd<'_>) -> io::Result<()> {
    let arguments = MountAttributes {
        set: libc::MOUNT_ATTR_IDMAP,
        clear: 0,
        propagation: 0,
        user_namespace: u64::from(users.as_raw_fd().cast_unsigned()),
    };
    change(mount.as_fd(), &arguments, 0)
}

#[expect(unsafe_code, reason = "mount_setattr(2) has no safe wrapper")]
fn change(
    mount: BorrowedFd<'_>,
    arguments: &MountAttributes,
    flags: libc::c_int,
) -> io::Result<()> {
    // SAFETY: path and arguments live until the call returns, and the size is theirs.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags | libc::AT_EMPTY_PATH,
            std::ptr::from_ref(arguments),
            size_of_val(arguments),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The kernel's own words about a failed mount can be read from its context.
pub(crate) fn explained(context: &OwnedFd, error: io::Error) -> io::Error {
    let mut buffer = [0; 512];
    match rustix::io::read(context.as_fd(), &mut buffer) {
        Ok(length) if length > 0 => {
            let text = String::from_utf8_lossy(&buffer[..length]).trim().to_owned();
            io::Error::new(error.kind(), format!("{text}: {error}"))
        }
        _ => error,
    }
}
