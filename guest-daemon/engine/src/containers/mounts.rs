//! What a user asked to be mounted: `-v`, `--mount`, `--tmpfs` and the image's volumes.

use std::path::Path;

use engine_store::objects::MountRecord;

use crate::config::{ContainerConfig, HostConfig};
use crate::error::{Error, Result};
use crate::volumes::check_driver;

use super::mount_requests::from_request;
use super::names::is_allowed;

pub(super) const PROPAGATIONS: [&str; 6] =
    ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// All mounts of a new container, in the order they were asked for, volumes not yet made. An
/// anonymous volume has no name yet. Whether to fill a volume from the image comes with each.
/// `inherited` are those of other containers, which the container's own replace.
pub(super) fn wanted(
    config: &ContainerConfig,
    host: &HostConfig,
    inherited: Vec<MountRecord>,
) -> Result<Vec<(MountRecord, bool)>> {
    let mut mounts: Vec<(MountRecord, bool)> = Vec::new();
    for bind in host.binds.as_deref().unwrap_or_default() {
        let (mount, copy) = parse_bind(bind)?;
        if mount.kind == "volume" {
            check_driver(&mount.name, &host.volume_driver)?;
        }
        add(&mut mounts, (mount, copy))?;
    }
    for request in &host.mounts {
        add(&mut mounts, from_request(request)?)?;
    }
    let taken = |mounts: &[(MountRecord, bool)], path: &str| {
        mounts.iter().any(|(mount, _)| mount.destination == path)
            || host.tmpfs.keys().any(|tmpfs| clean(tmpfs) == path)
    };
    for path in host.tmpfs.keys() {
        if !path.starts_with('/') {
            return Err(Error::invalid(not_absolute(path)));
        }
        if mounts.iter().any(|(mount, _)| mount.destination == clean(path)) {
            return Err(duplicate(&clean(path)));
        }
    }
    for mount in inherited {
        if !taken(&mounts, &mount.destination) {
            mounts.push((mount, false));
        }
    }
    for path in &config.volumes {
        absolute(path, path)?;
        let destination = clean(path);
        if !taken(&mounts, &destination) {
            check_driver("", &host.volume_driver)?;
            let mount = MountRecord {
                kind: "volume".into(),
                destination,
                anonymous: true,
                ..MountRecord::default()
            };
            mounts.push((mount, true));
        }
    }
    Ok(mounts)
}

/// Says of each bind what propagates. In one that has the engine's own folder in it there are the
/// mounts of other containers, and what is not a slave would keep them.
pub(super) fn settle_propagation(mounts: &mut [(MountRecord, bool)], root: &Path) -> Result<()> {
    let root = root.to_string_lossy();
    for (mount, _) in mounts.iter_mut().filter(|(mount, _)| mount.kind == "bind") {
        let source = mount.source.as_str();
        let related = source.starts_with(&*root) || root.starts_with(source);
        match (mount.propagation.as_str(), related) {
            ("", true) => mount.propagation = "rslave".into(),
            ("", false) => mount.propagation = "rprivate".into(),
            ("rslave" | "rshared", _) | (_, false) => {}
            (propagation, true) => {
                return Err(Error::invalid(format!(
                    "invalid mount config: must use either propagation mode \"rslave\" or \
                     \"rshared\" when mount source is within the daemon root, daemon root: \
                     {root:?}, bind mount source: {source:?}, propagation: {propagation:?}"
                )));
            }
        }
    }
    Ok(())
}

fn add(mounts: &mut Vec<(MountRecord, bool)>, mount: (MountRecord, bool)) -> Result<()> {
    if mounts.iter().any(|(other, _)| other.destination == mount.0.destination) {
        return Err(duplicate(&mount.0.destination));
    }
    mounts.push(mount);
    Ok(())
}

/// `source:destination[:modes]`
fn parse_bind(text: &str) -> Result<(MountRecord, bool)> {
    let bad = || Error::invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, modes) = match parts.as_slice() {
        [destination] => ("", *destination, ""),
        [source, destination] => (*source, *destination, ""),
        [source, destination, modes] => (*source, *destination, *modes),
        _ => return Err(bad()),
    };
    if destination.is_empty() || (parts.len() > 1 && source.is_empty()) {
        return Err(bad());
    }
    absolute(destination, text)?;
    let destination = clean(destination);
    if destination == "/" {
        return Err(Error::invalid(format!(
            "invalid volume specification: '{text}': invalid specification: destination can't be \
             '/'"
        )));
    }
    let mut mount = MountRecord { destination, mode: modes.into(), ..MountRecord::default() };
    let copy = apply_modes(&mut mount, modes)?;
    if source.starts_with('/') {
        mount.kind = "bind".into();
        mount.source = clean(source);
        mount.create_source = true;
        return Ok((mount, false));
    }
    mount.kind = "volume".into();
    mount.anonymous = source.is_empty();
    if !source.is_empty() {
        check_volume_name(source)?;
        mount.name = source.to_owned();
        if mount.mode.is_empty() {
            mount.mode = "z".into();
        }
    }
    Ok((mount, copy))
}

/// Returns whether a new volume is filled from the image.
fn apply_modes(mount: &mut MountRecord, modes: &str) -> Result<bool> {
    let mut copy = true;
    for mode in modes.split(',').filter(|mode| !mode.is_empty()) {
        match mode {
            "ro" | "readonly" => mount.read_only = true,
            // Labels of SELinux and hints of Docker Desktop mean nothing here.
            "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            "nocopy" => copy = false,
            mode if PROPAGATIONS.contains(&mode) => mount.propagation = mode.to_owned(),
            _ => return Err(Error::invalid(format!("invalid mode: {modes}"))),
        }
    }
    Ok(copy)
}

/// The options of a tmpfs: safe ones, then what the user wrote.
pub(super) fn tmpfs_options(text: &str) -> Vec<String> {
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(String::from).to_vec();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let opposite = match option.strip_prefix("no") {
            Some(positive) => positive.to_owned(),
            None => format!("no{option}"),
        };
        options.retain(|known| *known != opposite && known != option);
        options.push(option.to_owned());
    }
    options
}

/// The rule for names of volumes.
pub(crate) fn check_volume_name(name: &str) -> Result<()> {
    if is_allowed(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
         absolute path"
    )))
}

fn absolute(path: &str, text: &str) -> Result<()> {
    if path.starts_with('/') {
        return Ok(());
    }
    let kind = if text.starts_with('/') { "bind" } else { "volume" };
    Err(Error::invalid(format!(
        "invalid volume specification: '{text}': invalid mount config for type \"{kind}\": {}",
        not_absolute(path)
    )))
}

pub(super) fn not_absolute(path: &str) -> String {
    format!("invalid mount path: '{path}' mount path must be absolute")
}

fn duplicate(path: &str) -> Error {
    Error::invalid(format!("Duplicate mount point: {path}"))
}

/// Without `.`, `..` and superfluous slashes.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(binds: &[&str]) -> HostConfig {
        let binds = binds.iter().map(|bind| (*bind).to_owned()).collect();
        HostConfig { binds: Some(binds), ..HostConfig::default() }
    }

    fn one(bind: &str) -> Result<(MountRecord, bool)> {
        let mut mounts = wanted(&ContainerConfig::default(), &host(&[bind]), Vec::new())?;
        Ok(mounts.remove(0))
    }

    #[test]
    fn what_has_the_engines_folder_in_it_is_a_slave() {
        let settled = |bind: &str| {
            let mut mounts = [one(bind).unwrap()];
            settle_propagation(&mut mounts, Path::new("/var/lib/docker"))?;
            Ok::<_, Error>(mounts[0].0.propagation.clone())
        };
        for (bind, expected) in [
            ("/srv:/srv", "rprivate"),
            ("/srv:/srv:shared", "shared"),
            ("/:/host", "rslave"),
            ("/var/lib/docker/volumes:/v", "rslave"),
            ("/var/lib:/v:rshared", "rshared"),
        ] {
            assert_eq!(settled(bind).unwrap(), expected, "{bind}");
        }
        assert!(settled("/:/host:rprivate").unwrap_err().to_string().contains("daemon root"));
        assert_eq!(one("name:/v").unwrap().0.propagation, "");
    }

    #[test]
    fn binds_and_volumes_are_told_apart_by_the_slash() {
        let (bind, _) = one("/src/../etc:/dst/:ro,rslave").unwrap();
        assert_eq!((bind.kind.as_str(), bind.source.as_str()), ("bind", "/etc"));
        assert_eq!((bind.destination.as_str(), bind.read_only), ("/dst", true));
        assert_eq!(bind.propagation, "rslave");
        let (volume, copy) = one("data:/dst").unwrap();
        assert_eq!((volume.kind.as_str(), volume.name.as_str()), ("volume", "data"));
        assert!(copy && !volume.anonymous);
        let (_, copy) = one("data:/dst:nocopy").unwrap();
        assert!(!copy);
    }

    #[test]
    fn what_cannot_be_mounted_is_refused_in_dockers_words() {
        for (bind, text) in [
            ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
            (":/x", "invalid volume specification: ':/x'"),
            ("/x:/y:odd", "invalid mode: odd"),
        ] {
            assert_eq!(one(bind).unwrap_err().to_string(), text);
        }
        assert!(one("/x:relative").unwrap_err().to_string().ends_with("must be absolute"));
        assert!(one("/x:/").unwrap_err().to_string().ends_with("can't be '/'"));
        assert!(one("_x:/y").unwrap_err().to_string().contains("use absolute path"));
        let twice = wanted(&ContainerConfig::default(), &host(&["a1:/x", "b1:/x/"]), Vec::new());
        assert_eq!(twice.unwrap_err().to_string(), "Duplicate mount point: /x");
    }

    #[test]
    fn an_images_volume_is_anonymous_unless_something_is_mounted_there() {
        let config = ContainerConfig {
            volumes: ["/data".to_owned(), "/more".to_owned()].into(),
            ..ContainerConfig::default()
        };
        let mounts = wanted(&config, &host(&["v1:/data"]), Vec::new()).unwrap();
        assert_eq!(mounts.len(), 2);
        assert!(mounts[1].0.anonymous && mounts[1].0.destination == "/more");
    }

    #[test]
    fn a_tmpfs_is_safe_unless_the_user_says_otherwise() {
        assert_eq!(tmpfs_options("exec,size=64k"), ["nosuid", "nodev", "exec", "size=64k"]);
    }

    #[test]
    fn damaged_binds_are_taken_or_refused() {
        let seeds = ["/a:/b:ro,rprivate", "name:/b:nocopy", "/only", "/a/../b:/c//d/.:z"];
        fuzz::text_rounds(&seeds, |text| {
            if let Ok((mount, _)) = parse_bind(text) {
                assert!(
                    mount.destination.starts_with('/') && mount.destination != "/",
                    "{mount:?}"
                );
            }
        });
    }
}
