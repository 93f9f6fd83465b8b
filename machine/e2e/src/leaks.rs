//! Counting what containers could leave behind in a guest.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::{Machine, Run};

/// Prints a name and a number on each line.
const COUNT: &str = "
daemon=$(ps -o pid,ppid,args | awk '$2 == 1 && /daemon/ { print $1; exit }')
echo processes $(ls -d /proc/[0-9]* | wc -l)
echo descriptors of the daemon $(ls /proc/$daemon/fd | wc -l)
echo descriptors of init $(ls /proc/1/fd | wc -l)
echo threads of the daemon $(ls /proc/$daemon/task | wc -l)
echo KiB resident in the daemon $(awk '/VmRSS/ { print $2 }' /proc/$daemon/status)
echo KiB resident in init $(awk '/VmRSS/ { print $2 }' /proc/1/status)
echo mounts $(wc -l </proc/mounts)
echo cgroups $(find /sys/fs/cgroup -type d | wc -l)
echo network devices $(ls /sys/class/net | wc -l)
echo files in memory $(find /run -xdev | wc -l)
echo containers on the disk $(ls /var/lib/docker/containers /var/lib/docker/tmp | wc -l)
";

/// What there is now, by name.
pub fn count(machine: &Machine) -> Result<BTreeMap<String, u64>> {
    let text = machine.ssh([COUNT]).run()?.text()?;
    text.lines()
        .map(|line| {
            let (name, number) = line.rsplit_once(' ').with_context(|| text.clone())?;
            Ok((name.to_owned(), number.parse().with_context(|| text.clone())?))
        })
        .collect()
}
