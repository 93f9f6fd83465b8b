//! The options of the `local` driver: which file system a volume is, instead of a folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ports::VolumeMount;
use crate::sizes;

const KNOWN: [&str; 4] = ["device", "o", "size", "type"];

/// Which options need which others.
const NEEDS: [(&str, &[&str]); 3] =
    [("device", &["type"]), ("type", &["device"]), ("o", &["device", "type"])];

/// Refuses what dockerd refuses, in its words.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(unknown) = options.keys().find(|option| !KNOWN.contains(&option.as_str())) {
        return Err(format!("invalid option: {unknown:?}"));
    }
    let device = options.get("device").map_or("", String::as_str);
    if options.get("type").is_some_and(|kind| kind == "cifs") && has_port(device) {
        return Err("port not allowed in CIFS device URL, include 'port' in 'o='".to_owned());
    }
    if let Some(size) = options.get("size")
        && sizes::binary(size)? > 0
    {
        // The data disk counts nobody's bytes.
        return Err("quota size requested but no quota support".to_owned());
    }
    for (option, needed) in NEEDS {
        let missing = needed.iter().find(|needed| !options.contains_key(**needed));
        if let (true, Some(missing)) = (options.contains_key(option), missing) {
            return Err(format!("missing required option: {missing:?}"));
        }
    }
    Ok(())
}

/// What is to be mounted when the volume is used, if anything.
pub(super) fn mount(options: &BTreeMap<String, String>, path: PathBuf) -> Option<VolumeMount> {
    let option = |name: &str| options.get(name).cloned().unwrap_or_default();
    let mount =
        VolumeMount { path, device: option("device"), kind: option("type"), options: option("o") };
    (!mount.device.is_empty() || !mount.kind.is_empty()).then_some(mount)
}

/// Whether `//host:445/share` names a port.
fn has_port(device: &str) -> bool {
    let Some((_, rest)) = device.split_once("//") else { return false };
    let host = rest.split('/').next().unwrap_or(rest);
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_that_mean_nothing_are_refused_in_dockers_words() {
        for (pairs, text) in [
            (&[("foo", "bar")][..], "invalid option: \"foo\""),
            (&[("type", "tmpfs")], "missing required option: \"device\""),
            (&[("device", "/x")], "missing required option: \"type\""),
            (&[("o", "bind")], "missing required option: \"device\""),
            (&[("size", "1m")], "quota size requested but no quota support"),
            (&[("size", "big")], "invalid size: 'big'"),
            (
                &[("type", "cifs"), ("device", "//host:445/share")],
                "port not allowed in CIFS device URL, include 'port' in 'o='",
            ),
        ] {
            assert_eq!(check(&options(pairs)).unwrap_err(), text);
        }
        for pairs in [
            &[][..],
            &[("size", "0")],
            &[("type", "nfs"), ("device", ":/x"), ("o", "addr=127.0.0.1")],
            &[("type", "cifs"), ("device", "//host/share:2")],
        ] {
            check(&options(pairs)).unwrap();
        }
    }

    #[test]
    fn only_a_device_makes_a_volume_something_to_mount() {
        assert_eq!(mount(&options(&[("size", "0")]), PathBuf::new()), None);
        let pairs = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=1")];
        let mounted = mount(&options(&pairs), PathBuf::from("/v")).unwrap();
        assert_eq!((&*mounted.kind, &*mounted.options), ("tmpfs", "size=1m,uid=1"));
    }
}
