//! Control groups: limits, killing, waiting for the end of all, and counting.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::ports::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::block_io;

const ROOT: &str = "/sys/fs/cgroup";
const PARENT: &str = "docker";
const CONTROLLERS: [&str; 6] = ["cpu", "memory", "pids", "io", "cpuset", "hugetlb"];
const TIMEOUT: Duration = Duration::from_secs(10);

/// The directory of a container's group. `parent` is a path without `..`, or empty.
pub(crate) fn directory(parent: &str, container: &str) -> PathBuf {
    let parent = if parent.is_empty() { PARENT } else { parent };
    Path::new(ROOT).join(parent.trim_start_matches('/')).join(container)
}

/// Makes the groups above a container's, with every controller the kernel has.
fn create_above(directory: &Path) -> io::Result<()> {
    let above = directory.parent().and_then(|above| above.strip_prefix(ROOT).ok());
    let above = above.ok_or(io::ErrorKind::InvalidInput)?;
    let mut group = PathBuf::from(ROOT);
    hand_on_controllers(&group)?;
    for name in above.components() {
        group.push(name);
        match fs::create_dir(&group) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        hand_on_controllers(&group)?;
    }
    Ok(())
}

fn hand_on_controllers(group: &Path) -> io::Result<()> {
    let available = fs::read_to_string(group.join("cgroup.controllers"))?;
    let handed_on = fs::read_to_string(group.join("cgroup.subtree_control"))?;
    let among = |list: &str, name: &str| list.split_whitespace().any(|it| it == name);
    for controller in CONTROLLERS {
        if among(&available, controller) && !among(&handed_on, controller) {
            write(group, "cgroup.subtree_control", &format!("+{controller}"))?;
        }
    }
    Ok(())
}

/// Removes the groups above a container's that somebody asked for and that nobody is in any more.
pub(crate) fn remove_above(directory: &Path) {
    for group in directory.ancestors().skip(1) {
        let ours = group == Path::new(ROOT) || group == Path::new(ROOT).join(PARENT);
        if ours || fs::remove_dir(group).is_err() {
            return;
        }
    }
}

/// Makes a group with these limits.
pub(crate) fn create(directory: &Path, limits: &Cgroup) -> io::Result<()> {
    if !limits.parent.is_empty() {
        create_above(directory)?;
    }
    match fs::create_dir(directory) {
        // The parent is made when it is first needed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_above(directory)?;
            fs::create_dir(directory)?;
        }
        // Nobody knows of it any more, and it has another container's limits and device filter.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove(directory)?;
            fs::create_dir(directory)?;
        }
        other => other?,
    }
    update(directory, limits)
}

/// Gives a group other limits; what these do not name stays.
pub(crate) fn update(directory: &Path, limits: &Cgroup) -> io::Result<()> {
    let mut settings = settings(limits).into_iter().chain(block_io::settings(limits)?);
    settings.try_for_each(|(file, value)| write(directory, file, &value))
}

fn write(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    fs::write(directory.join(file), value).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {value:?} to {file}: {error}"))
    })
}

/// The files of a group and what is to be written to them.
fn settings(limits: &Cgroup) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    let bytes = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
    if limits.memory != 0 {
        settings.push(("memory.max", bytes(limits.memory)));
    }
    if limits.swap != 0 {
        settings.push(("memory.swap.max", bytes(limits.swap)));
    }
    if limits.memory_reservation != 0 {
        settings.push(("memory.low", bytes(limits.memory_reservation)));
    }
    if limits.cpu_shares > 0 {
        settings.push(("cpu.weight", cpu_weight(limits.cpu_shares).to_string()));
    }
    if limits.cpu_quota != 0 || limits.cpu_period > 0 {
        let quota = if limits.cpu_quota > 0 { limits.cpu_quota.to_string() } else { "max".into() };
        let period = if limits.cpu_period > 0 { limits.cpu_period } else { 100_000 };
        settings.push(("cpu.max", format!("{quota} {period}")));
    }
    if !limits.cpuset_cpus.is_empty() {
        settings.push(("cpuset.cpus", limits.cpuset_cpus.clone()));
    }
    if !limits.cpuset_mems.is_empty() {
        settings.push(("cpuset.mems", limits.cpuset_mems.clone()));
    }
    if limits.pids_limit != 0 {
        settings.push(("pids.max", bytes(limits.pids_limit)));
    }
    if limits.blkio_weight != 0 {
        settings.push(("io.weight", block_io::weight(limits.blkio_weight).to_string()));
    }
    settings
}

/// From Docker's shares (2 to 262144, 1024 is normal) to the kernel's weight (1 to 10000, 100 is
/// normal), so that the ends and the middle meet.
fn cpu_weight(shares: i64) -> u32 {
    match shares {
        ..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = f64::from(i32::try_from(shares).unwrap_or(i32::MAX)).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            let weight = 10_f64.powf(exponent).ceil();
            // Between 1 and 10000, so nothing is lost.
            format!("{weight:.0}").parse().unwrap_or(100)
        }
    }
}

/// Kills every process of a group. Succeeds when there is no group.
pub(crate) fn kill(directory: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).open(directory.join("cgroup.kill")) {
        Ok(mut file) => io::Write::write_all(&mut file, b"1"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Kills what is left, waits until it has ended, and removes the group. Succeeds when there is
/// none.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    kill(directory)?;
    wait_for(directory, "populated", 0, "processes of the container do not end")?;
    remove_tree(directory)
}

/// Stops all processes of a group, or none.
pub(crate) fn freeze(directory: &Path) -> io::Result<()> {
    write(directory, "cgroup.freeze", "1")?;
    let frozen = wait_for(directory, "frozen", 1, "processes of the container do not stop");
    if frozen.is_err() {
        thaw(directory)?;
    }
    frozen
}

pub(crate) fn thaw(directory: &Path) -> io::Result<()> {
    write(directory, "cgroup.freeze", "0")
}

pub(crate) fn is_frozen(directory: &Path) -> bool {
    fs::read_to_string(directory.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "1")
}

/// Waits until the group's state has a value.
fn wait_for(directory: &Path, name: &str, value: u64, hanging: &str) -> io::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    let events = fs::File::open(directory.join("cgroup.events"))?;
    loop {
        // Reading also arms the next notification.
        let mut buffer = [0; 256];
        let length = rustix::io::pread(&events, &mut buffer, 0)?;
        if counter(&String::from_utf8_lossy(&buffer[..length]), name) == Some(value) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, hanging));
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)], Some(&timeout))
        {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes a group and the ones in it; files of the kernel's go by themselves.
fn remove_tree(directory: &Path) -> io::Result<()> {
    for child in children(directory)? {
        remove_tree(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn children(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The pids in a group and the ones in it, in order.
pub(crate) fn processes(directory: &Path) -> io::Result<Vec<i32>> {
    let mut pids: Vec<i32> = fs::read_to_string(directory.join("cgroup.procs"))?
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    for child in children(directory)? {
        pids.extend(processes(&child)?);
    }
    pids.sort_unstable();
    Ok(pids)
}

/// Where another process of a container is to be: in its group, or, if it has arranged groups of
/// its own, beside its first process: a group whose controllers are handed on takes no processes.
pub(crate) fn directory_beside(first: i32, directory: PathBuf) -> io::Result<PathBuf> {
    if fs::read_to_string(directory.join("cgroup.subtree_control"))?.trim().is_empty() {
        return Ok(directory);
    }
    let groups = fs::read_to_string(format!("/proc/{first}/cgroup"))?;
    Ok(group_of(&groups).filter(|group| group.starts_with(&directory)).unwrap_or(directory))
}

/// The directory of the group in /proc/PID/cgroup.
fn group_of(groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new(ROOT).join(path))
}

/// Whether the kernel killed a process of the group for want of memory.
pub(crate) fn oom_killed(directory: &Path) -> bool {
    fs::read_to_string(directory.join("memory.events"))
        .is_ok_and(|events| memory_kills(&events) > 0)
}

/// How many processes the kernel killed for want of memory, by memory.events.
pub(crate) fn memory_kills(events: &str) -> u64 {
    counter(events, "oom_kill").unwrap_or(0)
}

/// A number in a file of the kernel's with a name and a number a line.
pub(crate) fn counter(events: &str, name: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_limits_nothing_is_written() {
        assert_eq!(settings(&Cgroup::default()), []);
    }

    #[test]
    fn limits_become_the_kernels_files() {
        let limits = Cgroup {
            memory: 64 << 20,
            swap: -1,
            memory_reservation: 32 << 20,
            cpu_shares: 1024,
            cpu_quota: 50_000,
            cpu_period: 0,
            cpuset_cpus: "0-1".into(),
            cpuset_mems: "0".into(),
            pids_limit: -1,
            blkio_weight: 500,
            ..Cgroup::default()
        };
        assert_eq!(
            settings(&limits),
            [
                ("memory.max", "67108864".to_owned()),
                ("memory.swap.max", "max".to_owned()),
                ("memory.low", "33554432".to_owned()),
                ("cpu.weight", "100".to_owned()),
                ("cpu.max", "50000 100000".to_owned()),
                ("cpuset.cpus", "0-1".to_owned()),
                ("cpuset.mems", "0".to_owned()),
                ("pids.max", "max".to_owned()),
                ("io.weight", "4950".to_owned()),
            ]
        );
        let unlimited = Cgroup { cpu_quota: -1, ..Cgroup::default() };
        assert_eq!(settings(&unlimited), [("cpu.max", "max 100000".to_owned())]);
        let period_only = Cgroup { cpu_period: 50_000, ..Cgroup::default() };
        assert_eq!(settings(&period_only), [("cpu.max", "max 50000".to_owned())]);
    }

    #[test]
    fn shares_and_weights_meet_at_the_ends_and_the_middle() {
        for (shares, weight) in [(2, 1), (1024, 100), (262_144, 10_000), (512, 59), (2048, 174)] {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let events = "low 0\noom 3\noom_kill 2\noom_group_kill 7\n";
        assert_eq!(counter(events, "oom_kill"), Some(2));
        assert_eq!(counter(events, "oom"), Some(3));
        assert_eq!(counter(events, "max"), None);
        assert_eq!(counter("populated 1\nfrozen 0\n", "frozen"), Some(0));
    }

    #[test]
    fn the_group_of_a_process_is_the_one_of_version_two() {
        let groups = "3:cpuset:/a\n0::/docker/ab/init\n";
        assert_eq!(group_of(groups), Some("/sys/fs/cgroup/docker/ab/init".into()));
        assert_eq!(group_of("3:cpuset:/a\n"), None);
    }

    #[test]
    fn a_group_is_where_it_was_asked_for() {
        assert_eq!(directory("", "ab"), Path::new("/sys/fs/cgroup/docker/ab"));
        assert_eq!(directory("/mine/deep", "ab"), Path::new("/sys/fs/cgroup/mine/deep/ab"));
        assert_eq!(directory("/", "ab"), Path::new("/sys/fs/cgroup/ab"));
    }

    #[test]
    fn a_group_that_is_not_there_is_removed() {
        remove(Path::new("/nonexistent/group")).unwrap();
        kill(Path::new("/nonexistent/group")).unwrap();
    }
}
