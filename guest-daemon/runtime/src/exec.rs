//! Another process in a running container: joins it, makes itself what was asked for, and runs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use engine::ports::Identity;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setresgid, setresuid, setsid};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::channel::{self, Answer};
use crate::clone::{Side, clone_sibling};
use crate::credentials::{set_limits, settle};
use crate::failure::{Failure, doing};
use crate::plan::{ExecRequest, User, with_home};
use crate::process::{Origin, Stdio, guests, set_oom_score};
use crate::program::{become_program, end};
use crate::{beneath, identity, rootfs, terminal};

/// Does not return: becomes the program, or says why not.
///
/// ```text
///  daemon        this process, in the guest       its sibling, in the container
///    ── request ──►  joins the container
///                    forks ───────────────────────► waits
///    ◄── Forked ───  ends
///    ── go on ────────────────────────────────────►  settles
///    ◄── Ready ────────────────────────────────────  becomes the program
/// ```
///
/// What the container's processes can see is the second one only, when it has nothing of the
/// guest's any more.
pub(crate) fn exec(
    origin: Origin,
    request: ExecRequest,
    descriptors: Vec<OwnedFd>,
    conversation: OwnedFd,
) -> ! {
    let mut descriptors = descriptors.into_iter();
    let container = descriptors.next();
    let stdio = Stdio::take(&request.process, &mut descriptors);
    match enter(origin, &request, container, &stdio) {
        Ok((Side::Old(pid), _)) => tell(&conversation, &Answer::Forked { pid }),
        Ok((Side::New, identity)) => {
            if told_to_go_on(&conversation) {
                let failure = run(&request, &identity, stdio, descriptors.next(), &conversation);
                tell(&conversation, &Answer::from(failure));
            }
        }
        Err(failure) => tell(&conversation, &Answer::from(failure)),
    }
    end(255)
}

/// Joins the container and forks what will be in it. Its cgroup is the one of this process.
fn enter(
    origin: Origin,
    request: &ExecRequest,
    container: Option<OwnedFd>,
    stdio: &Stdio,
) -> Result<(Side, Identity), Failure> {
    let container = container.ok_or_else(|| Failure::Failed("no container".to_owned()))?;
    let plan = &request.process;
    set_oom_score(plan.oom_score_adj)?;
    set_limits(plan)?;
    drop(origin);
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP
        | CloneFlags::CLONE_NEWPID;
    let gone = || Failure::Refused("the container is not running".to_owned());
    setns(&container, namespaces).map_err(|error| match error {
        Errno::ESRCH => gone(),
        other => doing("cannot join the container")(other),
    })?;
    let root = beneath::open_root(Path::new("/"))?;
    let identity = identity::resolve(root.as_fd(), &request.user, &request.additional_groups)
        .map_err(|error| Failure::Refused(error.to_string()))?;
    drop(root);
    stdio.give_to(guests(plan, identity.uid))?;
    if plan.first_user.is_some() {
        setns(&container, CloneFlags::CLONE_NEWUSER).map_err(doing("cannot change the users"))?;
    }
    drop(container);
    let side = clone_sibling(0, None).map_err(|error| match error.raw_os_error() {
        // Without its first process a pid namespace takes no others.
        Some(libc::ENOMEM) => gone(),
        _ => Failure::Failed(format!("cannot fork: {error}")),
    })?;
    Ok((side, identity))
}

/// If nobody listens, nobody needs to know.
fn tell(conversation: &OwnedFd, answer: &Answer) {
    channel::send(conversation.as_fd(), answer, &[]).ok();
}

fn told_to_go_on(conversation: &OwnedFd) -> bool {
    let mut byte = [0];
    loop {
        match rustix::io::read(conversation, &mut byte) {
            Ok(count) => return count == 1,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Returns only when it cannot become the program. It says that it runs before it does; that the
/// conversation is over then tells that it really does.
fn run(
    request: &ExecRequest,
    identity: &Identity,
    stdio: Stdio,
    filter: Option<OwnedFd>,
    conversation: &OwnedFd,
) -> Failure {
    match prepare(request, identity, stdio, filter) {
        Ok((terminal, env)) => {
            let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
            if let Err(error) = channel::send(conversation.as_fd(), &Answer::Ready, &terminal) {
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

type Prepared = (Option<OwnedFd>, Vec<String>);

fn prepare(
    request: &ExecRequest,
    identity: &Identity,
    mut stdio: Stdio,
    filter: Option<OwnedFd>,
) -> Result<Prepared, Failure> {
    let plan = &request.process;
    if plan.first_user.is_some() {
        // The container's root, who has the terminals.
        setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))?;
        setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))?;
    }
    let master = match plan.terminal {
        Some(size) => {
            let (master, slave) =
                terminal::open(size, identity.uid).map_err(doing("cannot make the terminal"))?;
            stdio = Stdio::Terminal(slave);
            Some(master)
        }
        None => None,
    };
    setsid()?;
    stdio.connect()?;
    own_null()?;
    umask(Mode::from_bits_truncate(0o022));
    settle(plan, &User::from(identity), filter.as_ref())?;
    let env = with_home(&plan.env, &identity.home);
    Ok((master, env))
}
