//! Another process in a running container: joins it, makes itself what was asked for, and runs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::channel::{self, Answer};
use crate::credentials::settle;
use crate::failure::{Failure, doing};
use crate::plan::{ExecRequest, User, with_home};
use crate::process::{Origin, Stdio, set_oom_score};
use crate::program::{become_program, end};
use crate::{beneath, identity, rootfs, terminal};

/// Does not return: becomes the program, or says why not.
pub(crate) fn exec(
    origin: Origin,
    request: ExecRequest,
    descriptors: Vec<OwnedFd>,
    conversation: OwnedFd,
) -> ! {
    let failure = run(origin, request, descriptors, &conversation);
    // If nobody listens, nobody needs to know.
    channel::send(conversation.as_fd(), &Answer::from(failure), &[]).ok();
    end(255)
}

/// Returns only when it cannot become the program. It says that it runs before it does; that the
/// conversation is over then tells that it really does.
fn run(
    origin: Origin,
    request: ExecRequest,
    descriptors: Vec<OwnedFd>,
    conversation: &OwnedFd,
) -> Failure {
    match prepare(origin, &request, descriptors) {
        Ok((answer, terminal, env)) => {
            let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
            if let Err(error) = channel::send(conversation.as_fd(), &answer, &terminal) {
                return error.into();
            }
            Failure::Refused(become_program(&request.process.args, &env))
        }
        Err(failure) => failure,
    }
}

/// The container may have taken its null device away; then input that has ended does as well.
fn own_null() -> Result<(), Failure> {
    if rootfs::own_null().is_ok() {
        return Ok(());
    }
    let (ended, _) = pipe_with(PipeFlags::CLOEXEC)?;
    // Only the input is ever the guest's null device.
    Ok(rustix::stdio::dup2_stdin(&ended)?)
}

type Prepared = (Answer, Option<OwnedFd>, Vec<String>);

fn prepare(
    origin: Origin,
    request: &ExecRequest,
    descriptors: Vec<OwnedFd>,
) -> Result<Prepared, Failure> {
    let plan = &request.process;
    let answer = origin.answer()?;
    let mut descriptors = descriptors.into_iter();
    let container = descriptors.next().ok_or_else(|| Failure::Failed("no container".to_owned()))?;
    let mut stdio = Stdio::take(plan, &mut descriptors);
    let filter = descriptors.next();
    set_oom_score(plan.oom_score_adj)?;
    // Before the container can see anything of this process but its number.
    drop(origin);
    // It is in the cgroup and the pid namespace already.
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    setns(&container, namespaces).map_err(doing("cannot join the container"))?;
    drop(container);
    let root = beneath::open_root(Path::new("/"))?;
    let identity = identity::resolve(root.as_fd(), &request.user, &request.additional_groups)
        .map_err(|error| Failure::Refused(error.to_string()))?;
    drop(root);
    let master = match plan.terminal {
        Some(size) => {
            let (master, slave) =
                terminal::open(size, identity.uid).map_err(doing("cannot make the terminal"))?;
            stdio = Stdio::Terminal(slave);
            Some(master)
        }
        None => None,
    };
    stdio.give_to(identity.uid)?;
    setsid()?;
    stdio.connect()?;
    own_null()?;
    umask(Mode::from_bits_truncate(0o022));
    settle(plan, &User::from(&identity), filter.as_ref())?;
    let env = with_home(&plan.env, &identity.home);
    Ok((answer, master, env))
}
