//! A new container's first process: makes itself what was asked for, and waits for the start.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;

use crate::channel;
use crate::credentials::{set_limits, settle};
use crate::failure::{Failure, doing};
use crate::plan::CreateRequest;
use crate::process::{Origin, Stdio, guests, set_oom_score};
use crate::program::{become_program, end};
use crate::{executable, rootfs, sysctls, terminal, user_namespace};

/// Does not return: becomes the container's program, or ends.
pub(crate) fn create(
    origin: Origin,
    request: CreateRequest,
    descriptors: Vec<OwnedFd>,
    conversation: OwnedFd,
) -> ! {
    let start = match prepare(origin, &request, descriptors) {
        Ok((start, answer, terminal)) => {
            let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
            if channel::send(conversation.as_fd(), &answer, &terminal).is_err() {
                end(255);
            }
            start
        }
        Err(failure) => {
            // If nobody listens, nobody needs to know.
            channel::send(conversation.as_fd(), &channel::Answer::from(failure), &[]).ok();
            end(255)
        }
    };
    drop(conversation);
    if !wait(&start) {
        end(255);
    }
    let text = become_program(&request.process.args, &request.process.env);
    // Executing closes it, which tells the daemon that the program runs.
    drop(start);
    // The container has started: its own standard error is the place where users look.
    rustix::io::write(rustix::stdio::stderr(), format!("{text}\n").as_bytes()).ok();
    end(255)
}

type Prepared = (OwnedFd, channel::Answer, Option<OwnedFd>);

fn prepare(
    origin: Origin,
    request: &CreateRequest,
    descriptors: Vec<OwnedFd>,
) -> Result<Prepared, Failure> {
    let plan = &request.process;
    let answer = origin.answer()?;
    let mut descriptors = descriptors.into_iter();
    let start = descriptors.next().ok_or_else(|| Failure::Failed("no start".to_owned()))?;
    let mut stdio = Stdio::take(plan, &mut descriptors);
    let filter = plan.filter_flags.and_then(|_| descriptors.next());
    let users = plan.first_user.and_then(|_| descriptors.next());
    set_oom_score(plan.oom_score_adj)?;
    setsid()?;
    join(request, descriptors.next())?;
    for (name, value) in &request.sysctls {
        sysctls::set(&origin.proc, name, value)
            .map_err(doing(&format!("cannot set the sysctl {name}")))?;
    }
    // Whoever could look into this process would find a way to the guest in it.
    drop(origin);
    umask(Mode::empty());
    if let Some(first) = plan.first_user {
        user_namespace::make_files_for(first)?;
    }
    rootfs::build(request, users.as_ref())?;
    let master = match plan.terminal {
        Some(size) => {
            let (master, slave) = terminal::open(size, guests(plan, request.user.uid))
                .map_err(doing("cannot make the terminal"))?;
            terminal::mount_console(&slave).map_err(doing("cannot mount the console"))?;
            stdio = Stdio::Terminal(slave);
            Some(master)
        }
        None => None,
    };
    stdio.connect()?;
    rootfs::own_null()?;
    umask(Mode::from_bits_truncate(0o022));
    set_limits(plan)?;
    if let Some(users) = users {
        setns(users, CloneFlags::CLONE_NEWUSER).map_err(doing("cannot change the users"))?;
    }
    settle(plan, &request.user, filter.as_ref())?;
    let program = plan.args.first().map(String::as_str).unwrap_or_default();
    executable::find(program, &plan.env).map_err(|error| Failure::Refused(error.to_string()))?;
    Ok((start, answer, master))
}

/// Joins the namespaces that are there, makes the one of the cgroup, and names the host.
fn join(request: &CreateRequest, other: Option<OwnedFd>) -> Result<(), Failure> {
    if let Some(flags) = request.joined {
        let other = other.ok_or_else(|| Failure::Failed("nothing to join".to_owned()))?;
        setns(other, CloneFlags::from_bits_truncate(flags))
            .map_err(doing("cannot join the other container"))?;
    }
    if let Some(path) = &request.network {
        let enter = || -> io::Result<()> { Ok(setns(File::open(path)?, CloneFlags::empty())?) };
        enter().map_err(doing(&format!("cannot join {}", path.display())))?;
    }
    if request.own_cgroup_namespace {
        unshare(CloneFlags::CLONE_NEWCGROUP).map_err(doing("cannot make a cgroup namespace"))?;
    }
    if let Some((hostname, domainname)) = &request.names {
        nix::unistd::sethostname(hostname).map_err(doing("cannot set the host name"))?;
        if !domainname.is_empty() {
            rustix::system::setdomainname(domainname.as_bytes())
                .map_err(doing("cannot set the domain name"))?;
        }
    }
    Ok(())
}

/// Waits for the word to start; false when it will not come.
fn wait(start: &OwnedFd) -> bool {
    let mut byte = [0];
    loop {
        match rustix::io::read(start, &mut byte) {
            Ok(count) => return count == 1,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
