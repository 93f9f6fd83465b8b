//! What must be there before a container's first process is forked: root, user, devices, limits, and
//! the plan.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::error::{Error, Result};
use engine::ports::{ContainerSpec, NamespaceMode, Seccomp};
use rustix::fs::OFlags;

use crate::device_filter::{DeviceFilter, Rule};
use crate::plan::{self, CreateRequest, Node, Resolved};
use crate::seccomp::filter::{Filter, Filters};
use crate::sysctls::{self, Own};
use crate::view::Views;
use crate::{
    beneath, capabilities, cgroup, identity, images, nodes, overlay, program, propagation,
};

/// What is made once and used for every container.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) filters: Filters,
    pub(crate) devices: DeviceFilter,
    pub(crate) views: Views,
}

/// Where the kernel's file systems are mounted; an image must not lead these elsewhere.
const SYSTEM_DIRECTORIES: [&str; 8] =
    ["dev", "dev/pts", "dev/shm", "dev/mqueue", "proc", "sys", "sys/fs", "sys/fs/cgroup"];

/// What is known before the container's files are looked at.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    /// Where its control group is to be.
    pub(crate) group: PathBuf,
    /// Namespaces of another container to join, as clone(2) has them.
    pub(crate) joined: Option<i32>,
    /// Shared memory that is not the container's alone.
    pub(crate) shared_memory: Option<PathBuf>,
    /// Its user namespace, and where its layers can be mounted meanwhile.
    pub(crate) users: Option<(BorrowedFd<'a>, PathBuf)>,
}

/// Mounts the root, looks up what depends on it, and makes the cgroup. Returns the plan and the
/// filter that goes with it. Blocks.
pub(crate) fn prepare(
    kept: &Kept,
    spec: &ContainerSpec,
    given: Given<'_>,
) -> Result<(CreateRequest, Option<Arc<Filter>>)> {
    check(spec)?;
    propagation::check(&spec.mounts)?;
    let capabilities = granted(&spec.capabilities, spec.privileged)?;
    let filter = filter(&kept.filters, &spec.seccomp, &spec.capabilities, spec.privileged)?;
    let (devices, rules) = devices(spec)?;
    let mapped = given.users.as_ref().zip(spec.users);
    match &mapped {
        Some(((users, layers), map)) => kept.views.mount_mapped_root(&spec.id, || {
            overlay::mount_mapped(&spec.root, *users, map.first, layers)
        }),
        None => kept.views.mount_root(&spec.id, &spec.root),
    }
    .map_err(|error| failed("cannot mount the root file system", error))?;
    match &mapped {
        Some(((users, layers), map)) => {
            images::mount_mapped(&spec.images, *users, map.first, layers)
        }
        None => images::mount(&spec.images),
    }
    .map_err(|error| failed("cannot mount an image", error))?;
    check_subpaths(spec)?;
    let root = beneath::open_root(&spec.root.merged)
        .map_err(|error| failed("cannot open the root file system", error))?;
    refuse_diversions(&root)?;
    let identity = identity::resolve(root.as_fd(), &spec.user, &spec.additional_groups)
        .map_err(|error| Error::invalid(error.to_string()))?;
    // Where users are others, the container's root makes it, when everything is mounted.
    if spec.users.is_none() {
        create_working_directory(&root, spec)
            .map_err(|error| failed("cannot create the working directory", error))?;
    }
    let resolved = Resolved {
        identity,
        capabilities,
        filter_flags: filter.as_ref().map(|filter| filter.flags),
        joined: given.joined,
        devices,
        shared_memory: given.shared_memory,
        init: spec.init.then(this_program).transpose()?,
    };
    cgroup::create(&given.group, &spec.cgroup).map_err(|error| match error.kind() {
        // A device that is to be limited.
        io::ErrorKind::NotFound => Error::not_found(error.to_string()),
        _ => failed("cannot create the cgroup", error),
    })?;
    if !spec.privileged {
        kept.devices
            .attach(&given.group, &rules)
            .map_err(|error| failed("cannot set the device filter", error))?;
    }
    Ok((plan::container(spec, resolved), filter))
}

/// By its name: what /proc/self/exe leads to belongs to the mounts it was started from.
fn this_program() -> Result<PathBuf> {
    std::fs::read_link("/proc/self/exe")
        .map_err(|error| failed("cannot find the program of the init process", error))
}

/// The guest's devices that the container gets, and what is allowed beyond the default.
fn devices(spec: &ContainerSpec) -> Result<(Vec<Node>, Vec<Rule>)> {
    let mut devices = match spec.privileged {
        true => nodes::all(Path::new("/dev"))
            .map_err(|error| failed("cannot list the devices", error))?,
        false => Vec::new(),
    };
    let mut rules: Vec<Rule> = spec.device_rules.iter().flat_map(nodes::rules).collect();
    for device in &spec.devices {
        let (nodes, allowed) = nodes::given(device).map_err(|error| {
            let source = &device.source;
            let reason = error.raw_os_error().map_or_else(
                || error.to_string(),
                |errno| program::reason(nix::errno::Errno::from_raw(errno)),
            );
            Error::not_found(format!(
                "error gathering device information while adding custom device {source:?}: {reason}"
            ))
        })?;
        devices.extend(nodes);
        rules.extend(allowed);
    }
    Ok((devices, rules))
}

/// The capabilities of a process.
pub(crate) fn granted(given: &[String], privileged: bool) -> Result<u64> {
    match privileged {
        false => capabilities::set(given)
            .map_err(|name| Error::invalid(format!("unknown capability: {name}"))),
        true => capabilities::all().map_err(|error| failed("cannot list capabilities", error)),
    }
}

/// The system call filter for a process.
pub(crate) fn filter(
    filters: &Filters,
    seccomp: &Seccomp,
    capabilities: &[String],
    privileged: bool,
) -> Result<Option<Arc<Filter>>> {
    let profile = match seccomp {
        _ if privileged => return Ok(None),
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default => None,
        Seccomp::Profile(text) => Some(text.as_str()),
    };
    filters.get(profile, capabilities).map(Some).map_err(|error| {
        let text = crate::role::chain(&error);
        Error::invalid(text)
    })
}

fn check(spec: &ContainerSpec) -> Result<()> {
    let own = Own {
        network: spec.network_namespace.is_some(),
        ipc: spec.ipc == NamespaceMode::Private,
        uts: spec.uts != NamespaceMode::Host,
    };
    for name in spec.sysctls.keys() {
        sysctls::check(name, own).map_err(|error| Error::invalid(error.to_string()))?;
    }
    Ok(())
}

/// An image in which /proc is a link to somewhere would have what is written there go elsewhere.
fn refuse_diversions(root: &OwnedFd) -> Result<()> {
    for directory in SYSTEM_DIRECTORIES {
        let plain = beneath::is_plain_directory(root.as_fd(), directory)
            .map_err(|error| failed("cannot look into the image", error))?;
        if !plain {
            return Err(Error::invalid(format!("/{directory} of the image is not a directory")));
        }
    }
    Ok(())
}

/// What of a volume or an image is to be mounted must be there and in it: the user is told here,
/// in dockerd's words. Where links lead when it is mounted is looked at again then.
fn check_subpaths(spec: &ContainerSpec) -> Result<()> {
    for mount in spec.mounts.iter().filter(|mount| !mount.subpath.is_empty()) {
        let (source, part) = (&mount.source, &mount.subpath);
        beneath::check_inside(Path::new(source), part).map_err(|error| match error.kind() {
            io::ErrorKind::CrossesDevices => Error::invalid(format!(
                "path concatenation escapes the base directory, base: {source}, subpath: {part}"
            )),
            io::ErrorKind::NotFound => Error::not_found(format!(
                "cannot access path {source}/{part}: no such file or directory"
            )),
            _ => failed("cannot open what is to be mounted", error),
        })?;
    }
    Ok(())
}

/// Makes the working directory where it will be seen: in the root, or in what is mounted over it.
fn create_working_directory(root: &OwnedFd, spec: &ContainerSpec) -> io::Result<()> {
    let wanted = Path::new(&spec.working_dir);
    let covering = spec
        .mounts
        .iter()
        .filter(|mount| wanted.starts_with(&mount.destination))
        .max_by_key(|mount| Path::new(&mount.destination).components().count());
    match covering {
        None => beneath::create_dir_all(root.as_fd(), wanted),
        Some(mount) if mount.kind == "bind" && Path::new(&mount.source).is_dir() => {
            let inside = wanted.strip_prefix(&mount.destination).unwrap_or(wanted);
            let source = beneath::open_root(Path::new(&mount.source))?;
            let part = beneath::open(source.as_fd(), Path::new(&mount.subpath), OFlags::PATH)?;
            beneath::create_dir_all(part.as_fd(), inside)
        }
        // It cannot be made yet; entering it says so.
        Some(_) => Ok(()),
    }
}

pub(crate) fn failed(what: &str, error: io::Error) -> Error {
    Error::internal(what, error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use engine::error::Kind;
    use engine::ports::Mount;

    use super::*;

    #[test]
    fn an_image_may_not_divert_system_directories() {
        let dir = tempfile::tempdir().unwrap();
        let root = beneath::open_root(dir.path()).unwrap();
        refuse_diversions(&root).unwrap();
        std::fs::create_dir(dir.path().join("sys")).unwrap();
        symlink("/etc", dir.path().join("sys/fs")).unwrap();
        let error = refuse_diversions(&root).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert_eq!(error.to_string(), "/sys/fs of the image is not a directory");
    }

    #[test]
    fn the_working_directory_is_made_in_the_volume_that_covers_it() {
        let (image, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = beneath::open_root(image.path()).unwrap();
        let mount = Mount {
            source: volume.path().to_str().unwrap().to_owned(),
            destination: "/data".into(),
            kind: "bind".into(),
            ..Mount::default()
        };
        let mut spec = ContainerSpec {
            working_dir: "/data/a/b".into(),
            mounts: vec![mount],
            ..ContainerSpec::default()
        };
        create_working_directory(&root, &spec).unwrap();
        assert!(volume.path().join("a/b").is_dir());
        assert!(!image.path().join("data").exists());
        spec.working_dir = "/database".into();
        create_working_directory(&root, &spec).unwrap();
        assert!(image.path().join("database").is_dir());
    }

    #[test]
    fn privileged_processes_have_no_filter() {
        let filters = Filters::default();
        assert!(filter(&filters, &Seccomp::Default, &[], true).unwrap().is_none());
        assert!(filter(&filters, &Seccomp::Unconfined, &[], false).unwrap().is_none());
        assert!(filter(&filters, &Seccomp::Default, &[], false).unwrap().is_some());
        let error = filter(&filters, &Seccomp::Profile("{".into()), &[], false).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }

    #[test]
    fn settings_of_the_guest_are_refused() {
        let spec = ContainerSpec {
            sysctls: [("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into(),
            ..ContainerSpec::default()
        };
        assert_eq!(check(&spec).unwrap_err().kind(), Kind::InvalidArgument, "no own network");
        let own = ContainerSpec { network_namespace: Some("/n".into()), ..spec };
        check(&own).unwrap();
    }
}
