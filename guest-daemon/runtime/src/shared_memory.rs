//! Shared memory that several containers may have: a file system of the guest's.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, move_mount};

use crate::mount_options::Options;
use crate::{attach, overlay, plan};

/// Makes it; one that an earlier start left is taken away.
pub(crate) fn mount(path: &Path, bytes: u64) -> io::Result<()> {
    remove(path)?;
    std::fs::create_dir_all(path)?;
    let mut options: Vec<String> = plan::SHM.iter().map(|option| (*option).to_owned()).collect();
    options.push(format!("size={bytes}"));
    let made = attach::new("tmpfs", "shm", &Options::parse(&options))?;
    Ok(move_mount(made.as_fd(), "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Succeeds when there is none. Containers that have it keep it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    overlay::unmount_all(path)?;
    match std::fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
