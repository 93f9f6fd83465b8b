//! A container's root: its layers mounted as one file system.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use engine::ports::RootFilesystem;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

use crate::attach::{self, explained};
use crate::user_namespace;

/// What is mounted as one file system.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// Topmost first.
    pub(crate) lower: Vec<PathBuf>,
    /// Where the kernel writes and works; without them nothing can be written.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
    pub(crate) merged: PathBuf,
}

impl From<&RootFilesystem> for Layers {
    fn from(root: &RootFilesystem) -> Self {
        Self {
            lower: root.lower.clone(),
            own: Some((root.upper.clone(), root.work.clone())),
            merged: root.merged.clone(),
        }
    }
}

/// Mounts a container's layers at `root.merged`.
pub(crate) fn mount(root: &RootFilesystem) -> io::Result<()> {
    mount_layers(&root.into())
}

/// Mounts layers at `merged`.
///
/// Each layer is an option of its own: the old mount(2) takes all options in one page, which
/// images with many layers outgrow.
pub(crate) fn mount_layers(layers: &Layers) -> io::Result<()> {
    make_place(&layers.merged)?;
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    configure(&context, layers).map_err(|error| explained(&context, error))?;
    let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(move_mount(
        mounted.as_fd(),
        "",
        CWD,
        &layers.merged,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
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

/// As [`mount`], with owners as a user namespace has them.
pub(crate) fn mount_mapped(
    root: &RootFilesystem,
    users: BorrowedFd<'_>,
    first: u32,
    scratch: &Path,
) -> io::Result<()> {
    mount_layers_mapped(&root.into(), users, first, scratch)
}

/// As [`mount_layers`], with owners as a user namespace has them. The layers are mounted once more
/// in `scratch`, a directory in memory, as long as that takes.
pub(crate) fn mount_layers_mapped(
    layers: &Layers,
    users: BorrowedFd<'_>,
    first: u32,
    scratch: &Path,
) -> io::Result<()> {
    let mounted = mapped(layers, users, scratch)
        // The kernel makes a directory of its own, as the one who mounts.
        .and_then(|mapped| user_namespace::with_files_for(first, || mount_layers(&mapped)));
    // The overlay has copies of its own.
    unmap(scratch)?;
    mounted
}

fn mapped(layers: &Layers, users: BorrowedFd<'_>, scratch: &Path) -> io::Result<Layers> {
    let place = |source: &Path, name: &str| -> io::Result<PathBuf> {
        let target = scratch.join(name);
        std::fs::create_dir_all(&target)?;
        let tree = attach::tree(source, false)?;
        // The overlay appears beneath the original, and must not go with this.
        attach::make_private(&tree)?;
        attach::map_owners(&tree, users)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(tree.as_fd(), "", CWD, &target, flags)?;
        Ok(target)
    };
    let named = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
    let lower = layers.lower.iter().enumerate();
    let lower = lower.map(|(number, layer)| place(layer, &number.to_string()));
    let lower = lower.collect::<io::Result<_>>()?;
    let own = match &layers.own {
        Some((upper, work)) => {
            // The kernel wants both on one mount.
            let own = place(upper.parent().unwrap_or(upper), "own")?;
            Some((own.join(named(upper)), own.join(named(work))))
        }
        None => None,
    };
    Ok(Layers { lower, own, merged: layers.merged.clone() })
}

/// Takes away what [`mount_mapped`] may have left. Succeeds when there is nothing.
pub(crate) fn unmap(scratch: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(scratch) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        unmount_all(&path)?;
        std::fs::remove_dir(&path)?;
    }
    std::fs::remove_dir(scratch)
}

fn configure(context: &OwnedFd, layers: &Layers) -> io::Result<()> {
    fsconfig_set_string(context, "source", "overlay")?;
    for layer in &layers.lower {
        fsconfig_set_string(context, "lowerdir+", layer.as_path())?;
    }
    if let Some((upper, work)) = &layers.own {
        fsconfig_set_string(context, "upperdir", upper.as_path())?;
        fsconfig_set_string(context, "workdir", work.as_path())?;
    }
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
