//! Making the container's tree of files: mounts, devices, and the change of roots.
//!
//! **Invariant:** the image is not to be trusted, so every place in it is found by
//! [`beneath`], and what is mounted on is what was looked at.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::fchdir;
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, major, minor};
use rustix::mount::MountAttrFlags;
use rustix::process::pivot_root;

use crate::attach::{self, READ_ONLY, set_attributes};
use crate::failure::{Failure, doing};
use crate::mount_options::{Attributes, Options, Propagation};
use crate::plan::{CreateRequest, MountPlan};
use crate::{beneath, devices};

const PROC_MAGIC: u64 = 0x9fa0;

/// What may be mounted over in /proc: files that show a container its own limits.
const PROC_FILES: [&str; 8] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
];

/// Builds it and enters it; this process must have a mount namespace of its own.
pub(crate) fn build(request: &CreateRequest, users: Option<&OwnedFd>) -> Result<(), Failure> {
    let nothing = None::<&str>;
    // Only what is taken before the mounts are separated still hears of the guest's.
    let mut joined = joined(&request.mounts)?;
    // What is mounted here is of no concern to the guest, nor the other way round.
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .map_err(doing("cannot separate the mounts"))?;
    let root = beneath::open_root(&request.root).map_err(doing("cannot open the root"))?;
    for (number, mount) in request.mounts.iter().enumerate() {
        let placed = match joined.remove(&number) {
            None => place(&root, mount, users),
            Some(tree) => place_tree(&root, mount, &tree, users),
        };
        placed.map_err(|error| failed(mount, &error))?;
        // Before anything of the user's is in it. A /dev that was bound is somebody else's.
        if mount.destination == "/dev" && mount.kind != "bind" {
            devices::populate(&root, &request.devices).map_err(doing("cannot make the devices"))?;
        }
    }
    enter(&root).map_err(doing("cannot enter the root"))?;
    let root = beneath::open_root(Path::new("/"))?;
    if users.is_some() {
        beneath::create_dir_all(root.as_fd(), Path::new(&request.process.cwd))
            .map_err(doing("cannot create the working directory"))?;
    }
    if request.readonly_root {
        set_attributes(root.as_fd(), READ_ONLY, 0)
            .map_err(doing("cannot make the root read-only"))?;
    }
    for path in &request.readonly_paths {
        protect(&root, path).map_err(doing(&format!("cannot make {path} read-only")))?;
    }
    mask(&root, &request.masked_paths).map_err(doing("cannot mask paths"))
}

pub(crate) fn place(root: &OwnedFd, plan: &MountPlan, users: Option<&OwnedFd>) -> io::Result<()> {
    let options = Options::parse(&plan.options);
    let kind = match plan.kind.as_str() {
        "cgroup" => "cgroup2",
        kind => kind,
    };
    let bound = kind == "bind" || plan.options.iter().any(|it| it == "bind" || it == "rbind");
    if !bound {
        beneath::create_dir_all(root.as_fd(), Path::new(&plan.destination))?;
        let target = target(root, plan, kind == "proc")?;
        return attach::attach(&attach::new(kind, &plan.source, &options)?, target.as_fd());
    }
    place_tree(root, plan, &tree(plan, &options)?, users)
}

/// Binds what is open already.
fn place_tree(
    root: &OwnedFd,
    plan: &MountPlan,
    tree: &OwnedFd,
    users: Option<&OwnedFd>,
) -> io::Result<()> {
    let options = Options::parse(&plan.options);
    if let (true, Some(users)) = (plan.mapped, users) {
        attach::map_owners(tree, users.as_fd())?;
    }
    let is_directory = FileType::from_raw_mode(fstat(tree)?.st_mode) == FileType::Directory;
    let destination = Path::new(&plan.destination);
    if is_directory {
        beneath::create_dir_all(root.as_fd(), destination)?;
    } else {
        beneath::create_file(root.as_fd(), destination)?;
    }
    let is_proc = fstatfs(tree)?.f_type.cast_unsigned() == PROC_MAGIC;
    let target = target(root, plan, is_proc)?;
    if options.attributes != Attributes::default() {
        let flags = if options.attributes_recursive { libc::AT_RECURSIVE } else { 0 };
        set_attributes(tree.as_fd(), options.attributes, flags)?;
    }
    attach::attach(tree, target.as_fd())
}

/// Binds that are to hear of what is mounted in the guest, by their places in the list.
fn joined(mounts: &[MountPlan]) -> Result<BTreeMap<usize, OwnedFd>, Failure> {
    let mut joined = BTreeMap::new();
    for (number, mount) in mounts.iter().enumerate() {
        let options = Options::parse(&mount.options);
        let Some(propagation) = options.propagation.filter(|_| mount.kind == "bind") else {
            continue;
        };
        let open = || {
            let tree = tree(mount, &options)?;
            match propagation {
                // It is as its source is.
                Propagation::Shared => {}
                Propagation::Slave => attach::make_slave(&tree)?,
            }
            Ok(tree)
        };
        joined.insert(number, open().map_err(|error| failed(mount, &error))?);
    }
    Ok(joined)
}

fn failed(plan: &MountPlan, error: &io::Error) -> Failure {
    let MountPlan { kind, destination, .. } = plan;
    Failure::Failed(format!("cannot mount {kind} at {destination}: {error}"))
}

/// What is bound, as a mount that is nowhere yet.
fn tree(plan: &MountPlan, options: &Options) -> io::Result<OwnedFd> {
    if plan.subpath.is_empty() {
        return attach::tree(&plan.source, options.recursive);
    }
    let volume = beneath::open_root(Path::new(&plan.source))?;
    let found = beneath::open(volume.as_fd(), Path::new(&plan.subpath), OFlags::PATH)?;
    attach::copy(found.as_fd())
}

/// The place to mount on. Nothing may hide the kernel's /proc, in which the rules about a process
/// are written.
fn target(root: &OwnedFd, plan: &MountPlan, is_proc: bool) -> io::Result<OwnedFd> {
    let destination = Path::new(&plan.destination);
    let target = beneath::open(root.as_fd(), destination, OFlags::PATH)?;
    let on_proc = fstatfs(&target)?.f_type.cast_unsigned() == PROC_MAGIC;
    let allowed = match destination == Path::new("/proc") {
        true => is_proc,
        false => !on_proc || PROC_FILES.iter().any(|file| destination == Path::new(file)),
    };
    match allowed {
        true => Ok(target),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it cannot be inside /proc")),
    }
}

/// Makes the root `/` and takes the guest's away.
pub(crate) fn enter(root: &OwnedFd) -> io::Result<()> {
    fchdir(root)?;
    // With the same directory for both, the old root lies on the new one, and nothing has to be
    // made in the image.
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(nix::unistd::chdir("/")?)
}

/// Puts a read-only mount of a path over itself.
fn protect(root: &OwnedFd, path: &str) -> io::Result<()> {
    let Some(found) = find(root, path)? else { return Ok(()) };
    let attributes = Attributes {
        set: MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        ..Attributes::default()
    };
    let copy = attach::copy(found.as_fd())?;
    set_attributes(copy.as_fd(), attributes, 0)?;
    attach::attach(&copy, found.as_fd())
}

/// Puts emptiness over paths: a read-only directory over directories, /dev/null over others.
fn mask(root: &OwnedFd, paths: &[String]) -> io::Result<()> {
    let mut empty: Option<OwnedFd> = None;
    let mut null: Option<OwnedFd> = None;
    for path in paths {
        let Some(found) = find(root, path)? else { continue };
        let mask = if FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Directory {
            match &empty {
                Some(empty) => attach::copy(empty.as_fd())?,
                None => attach::new("tmpfs", "tmpfs", &Options::parse(&["ro".to_owned()]))?,
            }
        } else {
            let null = match &mut null {
                Some(null) => null,
                none => none.insert(open_null(OFlags::PATH)?),
            };
            attach::copy(null.as_fd())?
        };
        attach::attach(&mask, found.as_fd())?;
        if empty.is_none() && FileType::from_raw_mode(fstat(&mask)?.st_mode) == FileType::Directory
        {
            // One empty directory serves for all.
            empty = Some(mask);
        }
    }
    Ok(())
}

/// A path that need not be there.
fn find(root: &OwnedFd, path: &str) -> io::Result<Option<OwnedFd>> {
    match beneath::open(root.as_fd(), Path::new(path), OFlags::PATH) {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The container's null device, which an image or a mount may have replaced.
pub(crate) fn open_null(flags: OFlags) -> io::Result<OwnedFd> {
    let null = rustix::fs::open("/dev/null", flags | OFlags::CLOEXEC, Mode::empty())?;
    match is_null(&null)? {
        true => Ok(null),
        false => Err(io::Error::other("/dev/null is not the null device")),
    }
}

/// Whether a descriptor is a null device, the guest's or the container's.
pub(crate) fn is_null(descriptor: impl AsFd) -> io::Result<bool> {
    let stat = fstat(descriptor)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    Ok(is_device && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3))
}

/// Replaces the guest's null device by the container's among the standard streams.
pub(crate) fn own_null() -> Result<(), Failure> {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
    let nulls = [is_null(stdin())?, is_null(stdout())?, is_null(stderr())?];
    if nulls == [false; 3] {
        return Ok(());
    }
    let null = open_null(OFlags::RDWR)?;
    for (is_null, replace) in nulls.into_iter().zip([dup2_stdin, dup2_stdout, dup2_stderr]) {
        if is_null {
            replace(&null)?;
        }
    }
    Ok(())
}
