//! Giving up what a process of a container must not have, in the order in which that is possible.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::failure::{Failure, doing};
use crate::plan::{ProcessPlan, User};
use crate::program::{close_others_on_exec, reason};
use crate::seccomp::filter;

/// Limits, as planned: to be set while the guest's root may raise them.
pub(crate) fn set_limits(plan: &ProcessPlan) -> Result<(), Failure> {
    plan.rlimits.iter().try_for_each(|(name, soft, hard)| limit(name, *soft, *hard))
}

/// User, filter, capabilities and working directory, as planned. `/` must be the
/// container's root; `filter` is what the plan's is loaded from.
pub(crate) fn settle(
    plan: &ProcessPlan,
    user: &User,
    filter: Option<&OwnedFd>,
) -> Result<(), Failure> {
    let program = match (filter, plan.filter_flags) {
        (Some(file), Some(flags)) => {
            Some((filter::read(file).map_err(doing("cannot read the system call filter"))?, flags))
        }
        _ => None,
    };
    let install = |when: bool| match &program {
        Some((program, flags)) if when => {
            filter::install(program, *flags).map_err(doing("cannot set the system call filter"))
        }
        _ => Ok(()),
    };
    // Before the user is changed, who may not be allowed to look into the directory, and if root
    // is not allowed to either (on a network file system), after.
    let entered = enter(&plan.cwd);
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    setgroups(&groups)?;
    prctl::set_keepcaps(true)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let permitted = capabilities(None)?.permitted;
    hold(permitted, permitted).map_err(doing("cannot set capabilities"))?;
    prctl::set_keepcaps(false)?;
    close_others_on_exec().map_err(doing("cannot close descriptors"))?;

    // The filter needs a capability, or the promise of no new privileges, which must not be given
    // unless it was asked for.
    install(!plan.no_new_privileges)?;
    drop_capabilities(plan.capabilities, user.uid).map_err(doing("cannot drop capabilities"))?;
    match entered {
        Err(Errno::EACCES | Errno::EPERM) => enter(&plan.cwd),
        other => other,
    }
    .map_err(|error| {
        let (directory, reason) = (&plan.cwd, reason(error));
        Failure::Refused(format!(
            "chdir to cwd ({directory:?}) set in config.json failed: {reason}"
        ))
    })?;
    if plan.no_new_privileges {
        prctl::set_no_new_privs()?;
    }
    install(plan.no_new_privileges)
}

/// Changes the working directory, to one that is inside the container.
fn enter(directory: &str) -> nix::Result<()> {
    let directory = if directory.is_empty() { "/" } else { directory };
    nix::unistd::chdir(directory)?;
    // A path like /proc/self/fd/7 can lead out; such a place has no name in here.
    // The kernel's own answer: a C library may search for a name instead.
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        _ => Err(Errno::ENOENT),
    }
}

/// Users other than root may only gain capabilities by running a program that has them.
fn drop_capabilities(given: u64, uid: u32) -> io::Result<()> {
    for number in 0..u64::BITS {
        let one = 1 << number;
        if given & one == 0 {
            match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(one)) {
                // The kernel knows no more.
                Err(rustix::io::Errno::INVAL) => break,
                other => other?,
            }
        }
    }
    let held = CapabilitySet::from_bits_retain(if uid == 0 { given } else { 0 });
    hold(held, held)?;
    Ok(clear_ambient_capability_set()?)
}

fn hold(effective: CapabilitySet, permitted: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

fn limit(name: &str, soft: u64, hard: u64) -> Result<(), Failure> {
    let resource =
        resource(name).ok_or_else(|| Failure::Refused(format!("invalid ulimit type: {name}")))?;
    let bounded = |value: u64| (value != u64::MAX).then_some(value);
    let limit = Rlimit { current: bounded(soft), maximum: bounded(hard) };
    setrlimit(resource, limit).map_err(doing(&format!("cannot set the limit {name}")))
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name.to_ascii_lowercase().as_str() {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_limit_is_the_users_mistake() {
        assert!(matches!(limit("patience", 1, 1), Err(Failure::Refused(_))));
        assert!(resource("RTPRIO").is_some());
    }
}
