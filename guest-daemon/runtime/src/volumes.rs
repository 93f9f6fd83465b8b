//! Volumes that are file systems of their own, mounted as mount(8) would.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use engine::error::{Error, Kind, Result};
use engine::ports::VolumeMount;
use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::overlay;

/// What is for the kernel's own part; later words win over earlier ones.
const FLAGS: [(&str, MsFlags, bool); 33] = [
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("atime", MsFlags::MS_NOATIME, false),
    ("bind", MsFlags::MS_BIND, true),
    ("defaults", MsFlags::empty(), true),
    ("dev", MsFlags::MS_NODEV, false),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("mand", MsFlags::MS_MANDLOCK, true),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("nodev", MsFlags::MS_NODEV, true),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("nomand", MsFlags::MS_MANDLOCK, false),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("nostrictatime", MsFlags::MS_STRICTATIME, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("private", MsFlags::MS_PRIVATE, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("remount", MsFlags::MS_REMOUNT, true),
    ("ro", MsFlags::MS_RDONLY, true),
    ("rprivate", MsFlags::MS_PRIVATE.union(MsFlags::MS_REC), true),
    ("rshared", MsFlags::MS_SHARED.union(MsFlags::MS_REC), true),
    ("rslave", MsFlags::MS_SLAVE.union(MsFlags::MS_REC), true),
    ("runbindable", MsFlags::MS_UNBINDABLE.union(MsFlags::MS_REC), true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("shared", MsFlags::MS_SHARED, true),
    ("slave", MsFlags::MS_SLAVE, true),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("unbindable", MsFlags::MS_UNBINDABLE, true),
];

const PROPAGATION: MsFlags = MsFlags::MS_PRIVATE
    .union(MsFlags::MS_SHARED)
    .union(MsFlags::MS_SLAVE)
    .union(MsFlags::MS_UNBINDABLE);

/// Mounts a volume, in the place of whatever is mounted there. Blocks.
pub(crate) fn mount(volume: &VolumeMount) -> Result<()> {
    unmount(&volume.path)?;
    let failed = |text: String| {
        let text = masked(&text, &volume.options);
        Error::new(Kind::Internal, format!("failed to mount local volume: {text}"))
    };
    let options = with_address(volume, resolve).map_err(failed)?;
    let (flags, data) = parse(&options);
    let nothing = None::<&str>;
    let data = (!data.is_empty()).then_some(data.as_str());
    let (device, kind) = (Some(volume.device.as_str()), Some(volume.kind.as_str()));
    let own = flags - PROPAGATION;
    nix::mount::mount(device, &volume.path, kind, own, data)
        .map_err(|error| failed(in_words(volume, "mount", own, data, error)))?;
    let again = |action: &str, flags: MsFlags| {
        nix::mount::mount(nothing, &volume.path, nothing, flags, nothing).map_err(|error| {
            // Half of it is not what was asked for.
            drop(unmount(&volume.path));
            failed(in_words(volume, action, flags, None, error))
        })
    };
    if flags.intersects(PROPAGATION) {
        again("remount", flags & (PROPAGATION | MsFlags::MS_REC))?;
    }
    // A bind does not take this from its first mount.
    if own.contains(MsFlags::MS_BIND | MsFlags::MS_RDONLY) {
        again("remount-ro", own | MsFlags::MS_REMOUNT)?;
    }
    Ok(())
}

/// Unmounts whatever is mounted at the path.
pub(crate) fn unmount(path: &Path) -> Result<()> {
    overlay::unmount_all(path).map_err(|error| Error::internal("cannot unmount a volume", error))
}

fn parse(options: &str) -> (MsFlags, String) {
    let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match FLAGS.iter().find(|(name, ..)| *name == option) {
            Some((_, flag, true)) => flags |= *flag,
            Some((_, flag, false)) => flags -= *flag,
            None => data.push(option),
        }
    }
    (flags, data.join(","))
}

/// Kernels want addresses where people write names.
fn with_address(
    volume: &VolumeMount,
    resolve: impl FnOnce(&str) -> io::Result<IpAddr>,
) -> std::result::Result<String, String> {
    let options = volume.options.clone();
    if !matches!(volume.kind.as_str(), "nfs" | "nfs4" | "cifs") {
        return Ok(options);
    }
    let found = options.split(',').find_map(|option| option.strip_prefix("addr="));
    let Some(name) = found.filter(|name| name.parse::<IpAddr>().is_err()) else {
        return Ok(options);
    };
    let address = resolve(name).map_err(|error| {
        format!("error resolving passed in network volume address: lookup {name}: {error}")
    })?;
    Ok(options.replacen(&format!("addr={name}"), &format!("addr={address}"), 1))
}

fn resolve(name: &str) -> io::Result<IpAddr> {
    let mut all: Vec<IpAddr> = (name, 0).to_socket_addrs()?.map(|found| found.ip()).collect();
    all.sort_by_key(IpAddr::is_ipv6);
    all.into_iter().next().ok_or_else(|| io::Error::other("no such host"))
}

/// As dockerd says it.
fn in_words(
    volume: &VolumeMount,
    action: &str,
    flags: MsFlags,
    data: Option<&str>,
    error: Errno,
) -> String {
    let mut text = format!("{action} {}:{}", volume.device, volume.path.display());
    if !flags.is_empty() {
        text += &format!(", flags: 0x{:x}", flags.bits());
    }
    if let Some(data) = data {
        text += &format!(", data: {data}");
    }
    text += &format!(": {}", error.desc().to_lowercase());
    if error == Errno::ENODEV {
        text += &format!(" (this machine's kernel has no file system {:?})", volume.kind);
    }
    text
}

/// Without the password that the options have.
fn masked(text: &str, options: &str) -> String {
    let password = options.split(',').find_map(|option| option.strip_prefix("password="));
    match password.filter(|password| !password.is_empty()) {
        Some(password) => text.replace(&format!("password={password}"), "password=********"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(kind: &str, device: &str, options: &str) -> VolumeMount {
        VolumeMount {
            path: "/v".into(),
            device: device.into(),
            kind: kind.into(),
            options: options.into(),
        }
    }

    #[test]
    fn options_are_the_kernels_or_the_file_systems() {
        let (flags, data) = parse("ro,size=1m,nodev,rw,uid=5,rbind,rslave");
        let expected = MsFlags::MS_NODEV | MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_SLAVE;
        assert_eq!((flags, data.as_str()), (expected, "size=1m,uid=5"));
        assert_eq!(parse(""), (MsFlags::empty(), String::new()));
    }

    #[test]
    fn names_of_servers_become_addresses() {
        let known = |name: &str| match name {
            "nas" => Ok("10.0.0.7".parse().unwrap()),
            _ => Err(io::Error::other("no such host")),
        };
        let asked = volume("nfs", ":/x", "addr=nas,rw");
        assert_eq!(with_address(&asked, known).unwrap(), "addr=10.0.0.7,rw");
        let error = with_address(&volume("nfs", ":/x", "addr=gone"), known).unwrap_err();
        assert_eq!(
            error,
            "error resolving passed in network volume address: lookup gone: no such host"
        );
        for same in ["rw,addr=10.0.0.1", "addr=::1", "rw"] {
            assert_eq!(with_address(&volume("nfs", ":/x", same), known).unwrap(), same);
        }
    }

    #[test]
    fn failures_are_told_in_dockers_words_and_without_passwords() {
        let bind = volume("none", "/absent", "bind");
        let text = in_words(&bind, "mount", MsFlags::MS_BIND, None, Errno::ENOENT);
        assert_eq!(text, "mount /absent:/v, flags: 0x1000: no such file or directory");
        let nfs = volume("nfs", ":/x", "");
        let data = Some("addr=10.0.0.1,password=secret");
        let text = in_words(&nfs, "mount", MsFlags::empty(), data, Errno::ENODEV);
        assert_eq!(
            masked(&text, "password=secret"),
            "mount :/x:/v, data: addr=10.0.0.1,password=********: no such device (this machine's \
             kernel has no file system \"nfs\")"
        );
    }
}
