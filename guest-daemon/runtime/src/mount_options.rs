//! Mount options as mount(8) writes them, sorted into what they are for the kernel.

use rustix::mount::MountAttrFlags;

/// Attributes of one mount: those to be set and those to be taken away first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) set: MountAttrFlags,
    pub(crate) clear: MountAttrFlags,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { set: MountAttrFlags::empty(), clear: MountAttrFlags::empty() }
    }
}

/// Which mounts show elsewhere. With a mount come those beneath it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// The guest's in the container, and the container's in the guest.
    Shared,
    /// The guest's in the container.
    Slave,
}

/// Parsed options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) attributes: Attributes,
    /// The attributes are also those of the mounts beneath a bound one.
    pub(crate) attributes_recursive: bool,
    /// The mounts beneath a bound directory come with it.
    pub(crate) recursive: bool,
    /// What happens beneath the source and beneath the place shows at the other.
    pub(crate) propagation: Option<Propagation>,
    /// What the file system itself understands.
    pub(crate) data: Vec<String>,
}

/// Options that say what is so anyway: unless they ask, containers have a copy of the guest's mounts
/// that nothing propagates into or out of.
const WITHOUT_EFFECT: [&str; 15] = [
    "defaults",
    "bind",
    "async",
    "sync",
    "dirsync",
    "mand",
    "nomand",
    "remount",
    "atime",
    "diratime",
    "norelatime",
    "nostrictatime",
    "private",
    "rprivate",
    "unbindable",
];

impl Options {
    /// Later options win over earlier ones.
    pub(crate) fn parse(options: &[String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            match option.as_str() {
                "rbind" => parsed.recursive = true,
                "rro" => {
                    parsed.attributes.set |= MountAttrFlags::MOUNT_ATTR_RDONLY;
                    parsed.attributes_recursive = true;
                }
                "shared" | "rshared" => parsed.propagation = Some(Propagation::Shared),
                "slave" | "rslave" => parsed.propagation = Some(Propagation::Slave),
                known if WITHOUT_EFFECT.contains(&known) => {}
                other => match attribute(other) {
                    Some((flag, true)) => parsed.set(flag),
                    Some((flag, false)) => parsed.attributes.set &= !flag,
                    None => parsed.data.push(other.to_owned()),
                },
            }
        }
        parsed
    }

    fn set(&mut self, flag: MountAttrFlags) {
        let access_times = MountAttrFlags::MOUNT_ATTR__ATIME;
        // These three are one number, of which relatime is zero.
        if access_times.contains(flag) {
            self.attributes.set &= !access_times;
            self.attributes.clear |= access_times;
        }
        self.attributes.set |= flag;
    }
}

/// The attribute that an option is about, and whether it is given or taken away.
fn attribute(option: &str) -> Option<(MountAttrFlags, bool)> {
    Some(match option {
        "ro" => (MountAttrFlags::MOUNT_ATTR_RDONLY, true),
        "rw" => (MountAttrFlags::MOUNT_ATTR_RDONLY, false),
        "nosuid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, true),
        "suid" => (MountAttrFlags::MOUNT_ATTR_NOSUID, false),
        "nodev" => (MountAttrFlags::MOUNT_ATTR_NODEV, true),
        "dev" => (MountAttrFlags::MOUNT_ATTR_NODEV, false),
        "noexec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, true),
        "exec" => (MountAttrFlags::MOUNT_ATTR_NOEXEC, false),
        "nosymfollow" => (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, true),
        "symfollow" => (MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, false),
        "nodiratime" => (MountAttrFlags::MOUNT_ATTR_NODIRATIME, true),
        "relatime" => (MountAttrFlags::MOUNT_ATTR_RELATIME, true),
        "noatime" => (MountAttrFlags::MOUNT_ATTR_NOATIME, true),
        "strictatime" => (MountAttrFlags::MOUNT_ATTR_STRICTATIME, true),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Options {
        Options::parse(&options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn attributes_are_the_mounts_and_the_rest_the_file_systems() {
        let options = parse(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
        let expected = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
        assert_eq!(options.attributes.set, expected);
        assert_eq!(options.attributes.clear, MountAttrFlags::MOUNT_ATTR__ATIME);
        assert_eq!(options.data, ["mode=755", "size=65536k"]);
    }

    #[test]
    fn the_last_of_two_opposites_wins() {
        assert_eq!(parse(&["ro", "rw"]), Options::default());
        assert_eq!(parse(&["rw", "ro"]).attributes, crate::attach::READ_ONLY);
        assert_eq!(
            parse(&["noatime", "relatime"]).attributes.set,
            MountAttrFlags::MOUNT_ATTR_RELATIME
        );
    }

    #[test]
    fn a_bind_takes_what_is_beneath_only_when_it_says_so() {
        assert!(!parse(&["bind", "rprivate"]).recursive);
        let options = parse(&["rbind", "rslave", "rro"]);
        assert!(options.recursive && options.attributes_recursive);
        assert_eq!(options.propagation, Some(Propagation::Slave));
        assert_eq!(options.data, Vec::<String>::new());
    }
}
