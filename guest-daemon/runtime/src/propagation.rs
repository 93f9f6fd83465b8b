//! Whether what is mounted later in the guest can show in a container, or the other way round.

use std::path::Path;

use engine::error::{Error, Result};
use engine::ports::Mount;

use crate::mount_options::{Options, Propagation};
use crate::prepare::failed;

/// A container cannot hear of mounts that the guest keeps to itself: what asks for it is refused, as
/// dockerd does.
pub(crate) fn check(mounts: &[Mount]) -> Result<()> {
    let asks = |mount: &Mount| {
        (mount.kind == "bind").then(|| Options::parse(&mount.options).propagation).flatten()
    };
    if mounts.iter().all(|mount| asks(mount).is_none()) {
        return Ok(());
    }
    let table = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| failed("cannot read the mounts", error))?;
    for mount in mounts {
        let Some(propagation) = asks(mount) else { continue };
        let source = std::fs::canonicalize(&mount.source)
            .map_err(|error| failed(&format!("cannot find {}", mount.source), error))?;
        check_one(&table, &source, &mount.source, propagation)?;
    }
    Ok(())
}

fn check_one(table: &str, source: &Path, asked: &str, propagation: Propagation) -> Result<()> {
    let (place, is_shared, is_slave) = holder(table, source);
    let (fits, kind) = match propagation {
        Propagation::Shared => (is_shared, "shared"),
        Propagation::Slave => (is_shared || is_slave, "shared or slave"),
    };
    match fits {
        true => Ok(()),
        false => Err(Error::not_found(format!(
            "path {asked} is mounted on {place} but it is not a {kind} mount"
        ))),
    }
}

/// The place of the mount that a path is on, and whether it is shared or another's slave.
fn holder(mountinfo: &str, path: &Path) -> (String, bool, bool) {
    let mount = |line: &str| {
        let (before, _) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(4);
        let place = fields.next()?.replace("\\040", " ");
        let optional: Vec<&str> = fields.skip(1).collect();
        let has = |name: &str| optional.iter().any(|field| field.starts_with(name));
        Some((place, has("shared:"), has("master:")))
    };
    // Of two in one place the later one is on top.
    let mounts = mountinfo.lines().filter_map(mount);
    let above = mounts.filter(|(place, ..)| path.starts_with(place));
    above.max_by_key(|(place, ..)| place.len()).unwrap_or_else(|| ("/".to_owned(), false, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "1 0 0:1 / / rw shared:1 - ext4 /dev/vda rw\n\
                         2 1 0:2 / /data rw,nosuid - tmpfs tmpfs rw\n\
                         3 1 0:2 / /data/in rw master:1 - tmpfs tmpfs rw\n\
                         4 1 0:2 / /a\\040b rw shared:2 master:1 - tmpfs tmpfs rw\n";

    #[test]
    fn the_nearest_mount_says_whether_a_path_is_shared() {
        let holder = |path: &str| holder(TABLE, Path::new(path));
        assert_eq!(holder("/data/inner"), ("/data".to_owned(), false, false));
        assert_eq!(holder("/data/in/x"), ("/data/in".to_owned(), false, true));
        assert_eq!(holder("/x"), ("/".to_owned(), true, false));
        assert_eq!(holder("/a b/c"), ("/a b".to_owned(), true, true));
    }

    #[test]
    fn what_cannot_propagate_is_refused_in_dockers_words() {
        let check = |path: &str, propagation| {
            check_one(TABLE, Path::new(path), path, propagation).map_err(|error| error.to_string())
        };
        check("/srv", Propagation::Shared).unwrap();
        check("/srv", Propagation::Slave).unwrap();
        check("/data/in", Propagation::Slave).unwrap();
        assert_eq!(
            check("/data/x", Propagation::Slave).unwrap_err(),
            "path /data/x is mounted on /data but it is not a shared or slave mount"
        );
        assert_eq!(
            check("/data/in", Propagation::Shared).unwrap_err(),
            "path /data/in is mounted on /data/in but it is not a shared mount"
        );
    }
}
