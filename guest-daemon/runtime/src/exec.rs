//! The helper's task of running another process in a container.
//!
//! libcontainer's own way leaves out the system call filter, so this joins the container itself:
//! cgroup, namespaces, one fork for the pid namespace, then privileges are given up in the same
//! order as at the container's creation.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use libcontainer::capabilities;
use libcontainer::oci_spec::runtime::{LinuxCapabilities, LinuxSeccomp, PosixRlimit};
use libcontainer::syscall::syscall::create_syscall;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, Gid, Uid, fork, setgroups, setresgid, setresuid, setsid};
use rustix::fs::{FileType, OFlags, fstat, major, minor};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, ioctl_tiocsctty, pidfd_open};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

use crate::channel::{Answer, ExecRequest};
use crate::payload::{become_program, end, reason};
use crate::role::give_pipes;
use crate::{beneath, identity, oci, streams};

/// Why a process does not run.
enum Failure {
    Refused(String),
    Failed(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Failed(io::Error::from(error).to_string())
    }
}

impl From<nix::errno::Errno> for Failure {
    fn from(error: nix::errno::Errno) -> Self {
        Self::Failed(io::Error::from(error).to_string())
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(text) => Self::Refused(text),
            Failure::Failed(text) => Self::Failed(text),
        }
    }
}

/// Runs a process in a container. It becomes init's child when this one ends.
pub(crate) fn exec(request: ExecRequest, streams: Vec<OwnedFd>) -> (Answer, Option<OwnedFd>) {
    match try_exec(&request, streams) {
        Ok((answer, terminal)) => (answer, terminal),
        Err(failure) => (failure.into(), None),
    }
}

/// The three standard streams, or one terminal for all.
enum Stdio {
    Streams(Vec<OwnedFd>),
    Terminal(OwnedFd),
}

fn try_exec(
    request: &ExecRequest,
    streams: Vec<OwnedFd>,
) -> Result<(Answer, Option<OwnedFd>), Failure> {
    // Opened before joining: afterwards /proc is the container's.
    let proc = beneath::open_root(Path::new("/proc"))?;
    join(request)?;
    let root = beneath::open_root(Path::new("/"))?;
    let identity = identity::resolve(root.as_fd(), &request.user, &request.additional_groups)
        .map_err(|error| Failure::Refused(error.to_string()))?;
    drop(root);
    let (stdio, terminal) = if request.terminal {
        let (master, slave) = open_terminal(request, identity.uid)?;
        (Stdio::Terminal(slave), Some(master))
    } else {
        give_pipes(&streams, identity.uid)?;
        (Stdio::Streams(streams), None)
    };
    let (reports, report) = pipe_with(PipeFlags::CLOEXEC)?;
    let pid = match fork_once()? {
        ForkResult::Child => {
            drop((proc, reports, terminal));
            let failure = child(request, &identity, stdio);
            // Read as one message by the parent; without it the process is taken for started.
            let answer = serde_json::to_vec(&Answer::from(failure)).unwrap_or_default();
            rustix::io::write(&report, &answer).ok();
            end(255)
        }
        ForkResult::Parent { child } => child.as_raw(),
    };
    drop((report, stdio));
    let mut text = Vec::new();
    std::fs::File::from(reports).read_to_end(&mut text)?;
    if !text.is_empty() {
        let answer = serde_json::from_slice(&text).map_err(io::Error::from)?;
        return Ok((answer, None));
    }
    let stat = beneath::read_file(proc.as_fd(), &format!("{pid}/stat"), 4096)?;
    let start_time = guest_process::parse_start_time(&stat)
        .ok_or_else(|| Failure::Failed("an unreadable /proc/PID/stat".to_owned()))?;
    Ok((Answer::Running { pid, start_time }, terminal))
}

/// Joins the container's cgroup and namespaces.
fn join(request: &ExecRequest) -> Result<(), Failure> {
    let gone = || Failure::Refused("the container is not running".to_owned());
    let pid = Pid::from_raw(request.container_pid).ok_or_else(gone)?;
    let container = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    // Checked while the descriptor holds the process fast.
    let start_time = guest_process::start_time(request.container_pid).map_err(|_| gone())?;
    if start_time != request.container_start_time {
        return Err(gone());
    }
    std::fs::write("/proc/self/oom_score_adj", request.oom_score_adj.to_string())?;
    std::fs::write(request.cgroup.join("cgroup.procs"), "0")?;
    // From here on processes of the container can see this one, but must not look into it.
    prctl::set_dumpable(false)?;
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    Ok(setns(&container, namespaces)?)
}

#[expect(unsafe_code, reason = "fork(2) is unsafe where there are threads")]
fn fork_once() -> nix::Result<ForkResult> {
    // SAFETY: this process has one thread.
    unsafe { fork() }
}

/// Makes a terminal in the container's devpts.
fn open_terminal(request: &ExecRequest, uid: u32) -> Result<(OwnedFd, OwnedFd), Failure> {
    let root = beneath::open_root(Path::new("/"))?;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = beneath::open(root.as_fd(), Path::new("/dev/pts/ptmx"), flags)?;
    // Whatever the image put there, only the kernel's own device makes terminals.
    let stat = fstat(&master)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || (major(stat.st_rdev), minor(stat.st_rdev)) != (5, 2) {
        return Err(Failure::Failed("/dev/pts/ptmx is not the terminal device".to_owned()));
    }
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    rustix::fs::fchown(&slave, Some(rustix::fs::Uid::from_raw(uid)), None)?;
    let size = engine::ports::TerminalSize { rows: request.rows, columns: request.columns };
    streams::resize(&master, size)?;
    Ok((master, slave))
}

/// The new process, in the container's namespaces; returns only when it cannot become the program.
fn child(request: &ExecRequest, identity: &engine::ports::Identity, stdio: Stdio) -> Failure {
    match prepare(request, identity, stdio) {
        Ok(()) => {
            let env = oci::with_home(&request.env, &identity.home);
            Failure::Refused(become_program(&request.args, &env))
        }
        Err(failure) => failure,
    }
}

fn prepare(
    request: &ExecRequest,
    identity: &engine::ports::Identity,
    stdio: Stdio,
) -> Result<(), Failure> {
    let syscall = create_syscall();
    let failed = |what: &str, error: &dyn std::error::Error| {
        Failure::Failed(format!("{what}: {}", crate::role::chain(error)))
    };
    setsid()?;
    connect(stdio)?;
    umask(Mode::from_bits_truncate(0o022));
    let limits: Vec<PosixRlimit> =
        serde_json::from_value(request.rlimits.clone()).map_err(io::Error::from)?;
    for limit in &limits {
        syscall.set_rlimit(limit).map_err(|error| failed("cannot set a limit", &error))?;
    }
    let sets: LinuxCapabilities =
        serde_json::from_value(oci::capabilities(identity.uid, &request.capabilities))
            .map_err(|error| Failure::Refused(format!("unknown capability: {error}")))?;
    let seccomp: Option<LinuxSeccomp> = match &request.seccomp {
        Some(profile) => Some(
            serde_json::from_value(profile.clone())
                .map_err(|error| Failure::Refused(format!("unusable seccomp profile: {error}")))?,
        ),
        None => None,
    };
    let filter = |when: bool| match &seccomp {
        Some(profile) if when => libcontainer::seccomp::initialize_seccomp(profile)
            .map(drop)
            .map_err(|error| failed("cannot set the system call filter", &error)),
        _ => Ok(()),
    };

    // Before the user is changed, who may not be allowed to look into the directory, and if root
    // is not allowed to either (on a network file system), after.
    let entered = enter(&request.cwd);
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    setgroups(&groups)?;
    prctl::set_keepcaps(true)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    capabilities::reset_effective(syscall.as_ref())
        .map_err(|error| failed("cannot set capabilities", &error))?;
    prctl::set_keepcaps(false)?;
    syscall.close_range(0).map_err(|error| failed("cannot close descriptors", &error))?;

    // The filter needs a capability, or the promise of no new privileges, which must not be given
    // unless it was asked for.
    filter(!request.no_new_privileges)?;
    capabilities::drop_privileges(&sets, syscall.as_ref())
        .map_err(|error| failed("cannot drop capabilities", &error))?;
    match entered {
        Err(nix::errno::Errno::EACCES | nix::errno::Errno::EPERM) => enter(&request.cwd),
        other => other,
    }
    .map_err(|error| {
        let directory = &request.cwd;
        let reason = reason(error);
        Failure::Refused(format!(
            "chdir to cwd ({directory:?}) set in config.json failed: {reason}"
        ))
    })?;
    if request.no_new_privileges {
        prctl::set_no_new_privs()?;
    }
    filter(request.no_new_privileges)
}

/// Changes the working directory, to one that is inside the container.
fn enter(directory: &str) -> nix::Result<()> {
    let directory = if directory.is_empty() { "/" } else { directory };
    nix::unistd::chdir(directory)?;
    // A path like /proc/self/fd/7 can lead out; such a place has no name in here.
    match nix::unistd::getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        _ => Err(nix::errno::Errno::ENOENT),
    }
}

fn connect(stdio: Stdio) -> Result<(), Failure> {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
    match stdio {
        Stdio::Terminal(slave) => {
            ioctl_tiocsctty(&slave)?;
            dup2_stdin(&slave)?;
            dup2_stdout(&slave)?;
            dup2_stderr(&slave)?;
        }
        Stdio::Streams(streams) => {
            let [stdin, stdout, stderr] = streams.as_slice() else {
                return Err(Failure::Failed("three streams are needed".to_owned()));
            };
            dup2_stdin(stdin)?;
            dup2_stdout(stdout)?;
            dup2_stderr(stderr)?;
        }
    }
    Ok(())
}
