//! A container's root: its layers mounted as one file system.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use engine::ports::RootFilesystem;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

use crate::attach::explained;

/// Mounts the layers at `root.merged`.
///
/// Each layer is an option of its own: the old mount(2) takes all options in one page, which
/// images with many layers outgrow.
pub(crate) fn mount(root: &RootFilesystem) -> io::Result<()> {
    make_place(&root.merged)?;
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    configure(&context, root).map_err(|error| explained(&context, error))?;
    let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(move_mount(mounted.as_fd(), "", CWD, &root.merged, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Makes the directory to mount on. Those above it are the container's: where they are gone, so is
/// the container.
pub(crate) fn make_place(merged: &Path) -> io::Result<()> {
    match std::fs::create_dir(merged) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether something is mounted at `merged`.
pub(crate) fn is_mounted(merged: &Path) -> bool {
    rustix::fs::statx(CWD, merged, AtFlags::empty(), StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn configure(context: &OwnedFd, root: &RootFilesystem) -> io::Result<()> {
    fsconfig_set_string(context, "source", "overlay")?;
    for layer in &root.lower {
        fsconfig_set_string(context, "lowerdir+", layer.as_path())?;
    }
    fsconfig_set_string(context, "upperdir", root.upper.as_path())?;
    fsconfig_set_string(context, "workdir", root.work.as_path())?;
    // The index ties an upper directory to its layers' file handles, which a restored or resized
    // disk changes.
    fsconfig_set_string(context, "index", "off")?;
    Ok(fsconfig_create(context)?)
}

/// Unmounts whatever is mounted at `merged`. Succeeds when nothing is.
pub(crate) fn unmount_all(merged: &Path) -> io::Result<()> {
    loop {
        match unmount(merged, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
