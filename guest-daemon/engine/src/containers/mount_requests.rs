//! One of `--mount`, checked in dockerd's words.

use engine_store::objects::MountRecord;

use super::mounts::{PROPAGATIONS, check_volume_name, clean, not_absolute, tmpfs_options};
use crate::config::MountRequest;
use crate::error::{Error, Result};
use crate::volumes::check_driver;

/// The mount, and whether a new volume is filled from the image.
pub(super) fn from_request(request: &MountRequest) -> Result<(MountRecord, bool)> {
    let mut mount = MountRecord {
        kind: request.kind.clone(),
        destination: clean(&request.target),
        read_only: request.read_only,
        ..MountRecord::default()
    };
    let filled = check_target(request).and_then(|()| match request.kind.as_str() {
        "bind" => bind(request, &mut mount),
        "volume" => volume(request, &mut mount),
        "tmpfs" => tmpfs(request, &mut mount),
        "image" => image(request, &mut mount),
        "cluster" | "npipe" => Err(Fault::Other(Error::unimplemented(format!(
            "mounts of type \"{}\" are not implemented",
            request.kind
        )))),
        _ => Err("mount type unknown".into()),
    });
    match filled {
        Ok(copy) => Ok((mount, copy)),
        Err(Fault::Other(error)) => Err(error),
        Err(Fault::Config(text)) => Err(Error::invalid(format!(
            "invalid mount config for type \"{}\": {text}",
            request.kind
        ))),
    }
}

/// What is wrong with a request.
enum Fault {
    /// Its own words.
    Config(String),
    Other(Error),
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Self::Config(text.to_owned())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

type Filled<T> = std::result::Result<T, Fault>;

fn check_target(request: &MountRequest) -> Filled<()> {
    if request.target.is_empty() {
        return Err("field Target must not be empty".into());
    }
    check_absolute(&request.target)?;
    if clean(&request.target) == "/" {
        return Err("invalid specification: destination can't be '/'".into());
    }
    read_only_conflict(request).map_or(Ok(()), |text| Err(text.into()))
}

fn check_absolute(path: &str) -> Filled<()> {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(Fault::Config(not_absolute(path))),
    }
}

fn bind(request: &MountRequest, mount: &mut MountRecord) -> Filled<bool> {
    if request.source.is_empty() {
        return Err("field Source must not be empty".into());
    }
    check_absolute(&request.source)?;
    mount.source = clean(&request.source);
    mount.create_source = request.bind_create_mountpoint;
    mount.non_recursive = request.bind_non_recursive;
    mount.read_only_non_recursive = request.bind_read_only_non_recursive;
    mount.propagation = match request.bind_propagation.as_str() {
        known if known.is_empty() || PROPAGATIONS.contains(&known) => known.to_owned(),
        other => return Err(Fault::Config(format!("invalid propagation mode: {other}"))),
    };
    Ok(false)
}

fn volume(request: &MountRequest, mount: &mut MountRecord) -> Filled<bool> {
    check_driver(&request.source, &request.volume_driver)?;
    mount.anonymous = request.source.is_empty();
    if mount.anonymous {
        if request.read_only {
            return Err("must not set ReadOnly mode when using anonymous volumes".into());
        }
        if !request.volume_subpath.is_empty() {
            return Err("must not set Subpath when using anonymous volumes".into());
        }
    } else {
        check_volume_name(&request.source)?;
        mount.name.clone_from(&request.source);
        mount.mode = "z".to_owned();
    }
    mount.subpath = subpath(&request.volume_subpath)?;
    Ok(!request.volume_no_copy)
}

/// The image itself is looked up when the container is made. It is never written to.
fn image(request: &MountRequest, mount: &mut MountRecord) -> Filled<bool> {
    if request.source.is_empty() {
        return Err("field Source must not be empty".into());
    }
    mount.name.clone_from(&request.source);
    mount.subpath = subpath(&request.image_subpath)?;
    mount.read_only = true;
    mount.propagation = "rprivate".to_owned();
    Ok(false)
}

/// dockerd has the same words for images.
fn subpath(path: &str) -> Filled<String> {
    match is_local(path) {
        true => Ok(path.to_owned()),
        false => Err("subpath must be a relative path within the volume".into()),
    }
}

fn tmpfs(request: &MountRequest, mount: &mut MountRecord) -> Filled<bool> {
    if !request.source.is_empty() {
        return Err("field Source must not be specified".into());
    }
    let mut words = Vec::new();
    for option in &request.tmpfs_options {
        match option.as_slice() {
            [word] if matches!(word.as_str(), "exec" | "noexec") => words.push(word.as_str()),
            [] => return Err("invalid option array length".into()),
            [word, ..] => return Err(Fault::Config(format!("invalid option: {word}"))),
        }
    }
    mount.options = tmpfs_options(&words.join(","));
    if request.tmpfs_size_bytes > 0 {
        mount.options.push(format!("size={}", request.tmpfs_size_bytes));
    }
    if request.tmpfs_mode != 0 {
        mount.options.push(format!("mode={:o}", request.tmpfs_mode));
    }
    Ok(false)
}

fn read_only_conflict(request: &MountRequest) -> Option<&'static str> {
    let MountRequest { read_only, bind_read_only_non_recursive: one, .. } = *request;
    let all = request.bind_read_only_force_recursive;
    match () {
        () if !read_only && one => {
            Some("mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive")
        }
        () if !read_only && all => {
            Some("mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive")
        }
        () if one && all => {
            Some("mount options conflict: ReadOnlyNonRecursive && ReadOnlyForceRecursive")
        }
        () => None,
    }
}

/// Whether a path stays beneath where it begins, by its words alone.
fn is_local(path: &str) -> bool {
    let mut depth = 0_i64;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return false;
        }
    }
    !path.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mount_asks_for_is_kept_or_refused() {
        let one = |change: &dyn Fn(&mut MountRequest)| {
            let mut request = MountRequest {
                kind: "volume".into(),
                source: "data".into(),
                target: "/dst".into(),
                ..MountRequest::default()
            };
            change(&mut request);
            from_request(&request).map(|(mount, _)| mount)
        };
        let subpath = |path: &'static str| one(&move |it| it.volume_subpath = path.into());
        assert_eq!(subpath("a/../b").unwrap().subpath, "a/../b");
        for bad in ["../a", "a/../../b", "/a"] {
            assert!(subpath(bad).unwrap_err().to_string().contains("relative path within"));
        }
        let bind = one(&|it| {
            (it.kind, it.source) = ("bind".into(), "/src".into());
            (it.bind_non_recursive, it.bind_create_mountpoint) = (true, true);
        });
        let bind = bind.unwrap();
        assert!(bind.non_recursive && bind.create_source);
        let tmpfs = one(&|it| {
            (it.kind, it.source) = ("tmpfs".into(), String::new());
            it.tmpfs_options = vec![vec!["exec".into()]];
        });
        assert_eq!(tmpfs.unwrap().options, ["nosuid", "nodev", "exec"]);
        let image = |path: &'static str| {
            one(&move |it| (it.kind, it.image_subpath) = ("image".into(), path.into()))
        };
        let mount = image("etc").unwrap();
        assert_eq!((&*mount.name, &*mount.subpath, mount.read_only), ("data", "etc", true));
        assert_eq!(
            image("../etc").unwrap_err().to_string(),
            "invalid mount config for type \"image\": subpath must be a relative path within the \
             volume"
        );
        let nothing = one(&|it| (it.kind, it.source) = ("image".into(), String::new()));
        assert!(nothing.unwrap_err().to_string().ends_with("field Source must not be empty"));
        for (kind, refused) in
            [("npipe", crate::Kind::Unimplemented), ("x", crate::Kind::InvalidArgument)]
        {
            assert_eq!(one(&|it| it.kind = kind.into()).unwrap_err().kind(), refused);
        }
        assert!(one(&|it| it.bind_read_only_force_recursive = true).is_err());
    }
}
