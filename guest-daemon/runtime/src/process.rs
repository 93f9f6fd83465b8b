//! What a forked process has from its origin, and how it is connected.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::readlinkat;
use rustix::process::ioctl_tiocsctty;

use crate::beneath;
use crate::channel::Answer;
use crate::failure::{Failure, doing};
use crate::plan::ProcessPlan;
use crate::role::give_pipes;

/// What every new process starts from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The guest's /proc, for use when another one is mounted there.
    pub(crate) proc: OwnedFd,
    pub(crate) pid_namespace: File,
}

impl Origin {
    /// Where this process is.
    pub(crate) fn here() -> io::Result<Self> {
        Ok(Self {
            proc: beneath::open_root(Path::new("/proc"))?,
            pid_namespace: File::open("/proc/self/ns/pid")?,
        })
    }

    /// Who this process is to the guest.
    pub(crate) fn answer(&self) -> Result<Answer, Failure> {
        let unreadable = || Failure::Failed("an unreadable /proc/self".to_owned());
        // As the one who mounted it sees it, whatever pid namespace this process is in.
        let pid = readlinkat(&self.proc, "self", Vec::new())?;
        let pid = pid.to_str().ok().and_then(|pid| pid.parse().ok()).ok_or_else(unreadable)?;
        let stat = beneath::read_file(self.proc.as_fd(), &format!("{pid}/stat"), 4096)?;
        let start_time = guest_process::parse_start_time(&stat).ok_or_else(unreadable)?;
        Ok(Answer::Running { pid, start_time })
    }
}

/// The three standard streams, or one terminal for all.
#[derive(Debug)]
pub(crate) enum Stdio {
    Streams(Vec<OwnedFd>),
    Terminal(OwnedFd),
}

impl Stdio {
    /// The streams among what came with a request; none yet if there is to be a terminal.
    pub(crate) fn take(plan: &ProcessPlan, from: &mut impl Iterator<Item = OwnedFd>) -> Self {
        let count = if plan.terminal.is_some() { 0 } else { 3 };
        Self::Streams(from.take(count).collect())
    }

    pub(crate) fn give_to(&self, uid: u32) -> io::Result<()> {
        match self {
            Self::Streams(streams) => give_pipes(streams, uid),
            Self::Terminal(_) => Ok(()),
        }
    }

    /// Makes them this process's; it must lead a session.
    pub(crate) fn connect(self) -> Result<(), Failure> {
        use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
        let [stdin, stdout, stderr] = match &self {
            Self::Terminal(slave) => {
                ioctl_tiocsctty(slave)?;
                [slave, slave, slave]
            }
            Self::Streams(streams) => match streams.as_slice() {
                [stdin, stdout, stderr] => [stdin, stdout, stderr],
                _ => return Err(Failure::Failed("three streams are needed".to_owned())),
            },
        };
        dup2_stdin(stdin)?;
        dup2_stdout(stdout)?;
        Ok(dup2_stderr(stderr)?)
    }
}

/// A user of the container as the guest counts.
pub(crate) fn guests(plan: &ProcessPlan, uid: u32) -> u32 {
    plan.first_user.unwrap_or(0).saturating_add(uid)
}

/// How eagerly the kernel kills this process when memory runs out.
pub(crate) fn set_oom_score(score: i32) -> Result<(), Failure> {
    std::fs::write("/proc/self/oom_score_adj", score.to_string())
        .map_err(doing("cannot set the out-of-memory score"))
}
