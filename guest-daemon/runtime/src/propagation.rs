//! Whether what is mounted later in the guest can show in a container, or the other way round.

use engine::error::{Error, Result};
use engine::ports::Mount;

use crate::prepare::failed;

/// Nothing of the guest's mounts propagates, so what asks for it is refused, as dockerd does where
/// the source is not on such a mount.
pub(crate) fn check(mounts: &[Mount]) -> Result<()> {
    let asks = |options: &[String]| {
        options.iter().find_map(|option| match option.as_str() {
            "shared" | "rshared" => Some("shared"),
            "slave" | "rslave" => Some("shared or slave"),
            _ => None,
        })
    };
    for mount in mounts {
        let Some(kind) = asks(&mount.options) else { continue };
        let table = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| failed("cannot read the mounts", error))?;
        return Err(Error::not_found(format!(
            "path {} is mounted on {} but it is not a {kind} mount",
            mount.source,
            holder(&table, &mount.source)
        )));
    }
    Ok(())
}

/// The place of the mount that a path is on.
fn holder<'a>(mountinfo: &'a str, path: &str) -> &'a str {
    let place = |line: &'a str| line.split(' ').nth(4);
    let above = |place: &&str| std::path::Path::new(path).starts_with(place);
    mountinfo.lines().filter_map(place).filter(above).max_by_key(|place| place.len()).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_propagate_is_refused_in_dockers_words() {
        let mount = |option: &str| Mount {
            source: "/proc/sys".into(),
            options: vec!["rbind".into(), option.into()],
            ..Mount::default()
        };
        check(&[mount("rprivate")]).unwrap();
        let error = check(&[mount("rshared")]).unwrap_err();
        let text = "path /proc/sys is mounted on /proc";
        assert!(error.to_string().starts_with(text), "{error}");
        assert!(check(&[mount("slave")]).unwrap_err().to_string().ends_with("or slave mount"));
    }

    #[test]
    fn the_nearest_mount_holds_a_path() {
        let table = "1 0 0:1 / / rw\n2 1 0:2 / /data rw\n3 1 0:2 / /data/in rw\n";
        assert_eq!(holder(table, "/data/inner"), "/data");
        assert_eq!(holder(table, "/data/in/x"), "/data/in");
        assert_eq!(holder(table, "/x"), "/");
    }
}
