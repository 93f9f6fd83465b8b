//! What must be there before libcontainer builds a container: root, user, devices, limits, and the
//! specification.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use engine::error::{Error, Result};
use engine::ports::{ContainerSpec, NamespaceMode, Seccomp};
use serde_json::Value;

use crate::oci::{self, Resolved};
use crate::seccomp::{self, Machine};
use crate::{beneath, capabilities, cgroup, device_filter, identity, nodes, overlay};

/// Where the kernel's file systems are mounted; an image must not lead these elsewhere.
const SYSTEM_DIRECTORIES: [&str; 8] =
    ["dev", "dev/pts", "dev/shm", "dev/mqueue", "proc", "sys", "sys/fs", "sys/fs/cgroup"];

/// Mounts the root, looks up what depends on it, makes the cgroup, and writes the bundle. Returns
/// the user's number. Blocks.
pub(crate) fn prepare(
    spec: &ContainerSpec,
    bundle: &Path,
    joined: Vec<(&'static str, String)>,
) -> Result<u32> {
    check(spec)?;
    overlay::mount(&spec.root)
        .map_err(|error| failed("cannot mount the root file system", error))?;
    let root = beneath::open_root(&spec.root.merged)
        .map_err(|error| failed("cannot open the root file system", error))?;
    refuse_diversions(&root)?;
    let identity = identity::resolve(root.as_fd(), &spec.user, &spec.additional_groups)
        .map_err(|error| Error::invalid(error.to_string()))?;
    create_working_directory(&root, spec)
        .map_err(|error| failed("cannot create the working directory", error))?;
    let uid = identity.uid;
    let resolved = Resolved {
        identity,
        capabilities: granted(&spec.capabilities, spec.privileged)?,
        seccomp: profile(&spec.seccomp, &spec.capabilities, spec.privileged)?,
        joined,
        devices: match spec.privileged {
            true => nodes::all(Path::new("/dev"))
                .map_err(|error| failed("cannot list the devices", error))?,
            false => Vec::new(),
        },
        shared_memory: shared_memory(spec),
    };
    let group = cgroup::directory(&spec.id);
    cgroup::create(&group, &spec.cgroup)
        .map_err(|error| failed("cannot create the cgroup", error))?;
    if !spec.privileged {
        device_filter::attach(&group, &device_filter::DEFAULT_RULES)
            .map_err(|error| failed("cannot set the device filter", error))?;
    }
    write_bundle(bundle, &oci::specification(spec, &resolved))
        .map_err(|error| failed("cannot write the container's specification", error))?;
    Ok(uid)
}

/// The capabilities of a process.
pub(crate) fn granted(given: &[String], privileged: bool) -> Result<Vec<String>> {
    match privileged {
        false => Ok(given.to_vec()),
        true => capabilities::all().map_err(|error| failed("cannot list capabilities", error)),
    }
}

/// The system call filter for a process.
pub(crate) fn profile(
    seccomp: &Seccomp,
    capabilities: &[String],
    privileged: bool,
) -> Result<Option<Value>> {
    if privileged {
        return Ok(None);
    }
    let machine = Machine::current();
    let profile = match seccomp {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default => seccomp::default_profile(capabilities, &machine),
        Seccomp::Profile(text) => seccomp::custom_profile(text, capabilities, &machine),
    };
    profile.map(Some).map_err(|error| {
        let text = crate::role::chain(&error);
        Error::invalid(text)
    })
}

fn check(spec: &ContainerSpec) -> Result<()> {
    if matches!(spec.ipc, NamespaceMode::Container(_)) {
        return Err(Error::unimplemented("--ipc container:… is not implemented"));
    }
    for name in spec.sysctls.keys() {
        let honest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
        if !honest || name.contains("..") {
            return Err(Error::invalid(format!("sysctl {name:?} is not allowed")));
        }
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
            beneath::create_dir_all(source.as_fd(), inside)
        }
        // It cannot be made yet; entering it says so.
        Some(_) => Ok(()),
    }
}

fn shared_memory(spec: &ContainerSpec) -> Option<PathBuf> {
    let shared = Path::new("/dev/shm");
    (spec.ipc == NamespaceMode::Host && shared.is_dir()).then(|| shared.to_owned())
}

fn write_bundle(bundle: &Path, document: &Value) -> io::Result<()> {
    std::fs::create_dir_all(bundle)?;
    std::fs::write(bundle.join("config.json"), serde_json::to_vec(document)?)
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
            options: Vec::new(),
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
        assert!(profile(&Seccomp::Default, &[], true).unwrap().is_none());
        assert!(profile(&Seccomp::Unconfined, &[], false).unwrap().is_none());
        assert!(profile(&Seccomp::Default, &[], false).unwrap().is_some());
        let error = profile(&Seccomp::Profile("{".into()), &[], false).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }

    #[test]
    fn sysctls_that_are_paths_are_refused() {
        for name in ["kernel.shm+kernel.core_pattern", "a=b", "net/../kernel/x", "net ipv4"] {
            let spec = ContainerSpec {
                sysctls: [(name.to_owned(), "1".to_owned())].into(),
                ..ContainerSpec::default()
            };
            assert_eq!(check(&spec).unwrap_err().kind(), Kind::InvalidArgument, "{name}");
        }
    }
}
