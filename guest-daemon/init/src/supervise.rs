//! The loop of PID 1: reap, answer the daemon, start it again when it dies, end the machine.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use guest_process::Command;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

use crate::console::event;
use crate::exits::{ExitRecord, ProcessKey};
use crate::service::{Ending, Service};
use crate::{handover, shutdown};

/// The daemon is this program under another name.
const PROGRAM: &str = "/init";
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// When memory runs out the kernel kills everything else first.
const DAEMON_OOM_SCORE: i32 = -999;

/// How long the daemon may take to end its containers before everything is killed.
const DRAIN: Duration = Duration::from_secs(20);

pub(crate) struct Supervisor {
    service: Service,
    signals: SignalFd,
    daemon: Daemon,
    restarts: Restarts,
    ending: Option<(Ending, Instant)>,
    /// What the daemon's environment contains besides.
    variables: Vec<(String, String)>,
}

enum Daemon {
    Runs { pid: i32, since: Instant },
    StartsAt(Instant),
}

impl Supervisor {
    pub(crate) fn new(service: Service, variables: Vec<(String, String)>) -> io::Result<Self> {
        let mut wanted = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGPWR] {
            wanted.add(signal);
        }
        wanted.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&wanted, flags)?;
        // Ctrl-Alt-Del becomes SIGINT instead of an instant reset.
        if let Err(error) = nix::sys::reboot::set_cad_enabled(false) {
            event!(Warn, "Ctrl-Alt-Del resets at once", because = error);
        }
        let daemon = Daemon::StartsAt(Instant::now());
        let restarts = Restarts::default();
        Ok(Supervisor { service, signals, daemon, restarts, ending: None, variables })
    }

    pub(crate) fn run(&mut self) -> ! {
        loop {
            self.start_daemon();
            self.wait_for_events();
            self.reap();
            if let Some(ending) = self.service.ending() {
                self.begin(ending);
            }
            self.end();
        }
    }

    fn start_daemon(&mut self) {
        let Daemon::StartsAt(moment) = self.daemon else { return };
        if self.ending.is_some() || moment > Instant::now() {
            return;
        }
        match spawn_daemon(&self.variables) {
            Ok(pid) => {
                event!(Info, "daemon started", pid = pid);
                self.daemon = Daemon::Runs { pid, since: Instant::now() };
            }
            Err(error) => {
                let delay = self.restarts.delay(Duration::ZERO);
                event!(Error, "daemon not started", because = error);
                self.daemon = Daemon::StartsAt(Instant::now() + delay);
            }
        }
    }

    fn wait_for_events(&mut self) {
        let deadlines = [
            match self.daemon {
                Daemon::StartsAt(moment) if self.ending.is_none() => Some(moment),
                Daemon::StartsAt(_) | Daemon::Runs { .. } => None,
            },
            self.ending.map(|(_, deadline)| deadline),
        ];
        let timeout = deadlines.into_iter().flatten().min().map(time_until);
        let found: Vec<PollFlags> = {
            let mut interests = vec![PollFd::new(&self.signals, PollFlags::IN)];
            interests.extend(self.service.interests());
            if let Err(error) = rustix::event::poll(&mut interests, timeout.as_ref())
                && error != rustix::io::Errno::INTR
            {
                event!(Error, "poll failed", because = error);
            }
            interests.iter().map(PollFd::revents).collect()
        };
        self.service.ready(&found[1..]);
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match i32::try_from(signal.ssi_signo) {
                Ok(nix::libc::SIGTERM | nix::libc::SIGPWR) => self.begin(Ending::PowerOff),
                Ok(nix::libc::SIGINT) => self.begin(Ending::Reboot),
                // SIGCHLD; reaping follows anyway.
                _ => {}
            }
        }
    }

    /// Takes every process that has ended and remembers how.
    fn reap(&mut self) {
        while let Ok(Some(pid)) = guest_process::next_exited() {
            // Read while it is a zombie; there is nothing left afterwards.
            let start_time = guest_process::start_time(pid).unwrap_or_default();
            let status = match guest_process::reap(pid) {
                Ok(Some(status)) => status,
                Ok(None) => return,
                Err(error) => {
                    event!(Error, "a process was not reaped", pid = pid, because = error);
                    return;
                }
            };
            self.daemon_ended(pid, status);
            let exit = ExitRecord { status, unix_nanos: unix_nanos() };
            self.service.exited(ProcessKey { pid, start_time }, exit);
        }
    }

    fn daemon_ended(&mut self, ended: i32, status: i32) {
        let Daemon::Runs { pid, since } = self.daemon else { return };
        if pid != ended {
            return;
        }
        let delay = self.restarts.delay(since.elapsed());
        self.daemon = Daemon::StartsAt(Instant::now() + delay);
        if self.ending.is_none() {
            let how = format!("{:?}", guest_process::ended_by(status));
            event!(Error, "daemon ended", pid = pid, how = how, again_in_ms = delay.as_millis());
        }
    }

    /// Asks the daemon to end its containers and itself.
    fn begin(&mut self, ending: Ending) {
        if self.ending.is_some() {
            return;
        }
        event!(Info, "machine ends", how = format!("{ending:?}"));
        if let Err(error) = handover::announce_ending() {
            event!(Warn, "containers are not asked to end", because = error);
        }
        if let Daemon::Runs { pid, .. } = self.daemon {
            let daemon = nix::unistd::Pid::from_raw(pid);
            if let Err(error) = nix::sys::signal::kill(daemon, Signal::SIGTERM) {
                event!(Warn, "daemon not told", because = error);
            }
        }
        self.ending = Some((ending, Instant::now() + DRAIN));
    }

    fn end(&self) {
        let Some((ending, deadline)) = self.ending else { return };
        let late = deadline <= Instant::now();
        if late {
            event!(Warn, "daemon does not end", waited_s = DRAIN.as_secs());
        }
        if late || matches!(self.daemon, Daemon::StartsAt(_)) {
            shutdown::end(ending);
        }
    }
}

fn spawn_daemon(variables: &[(String, String)]) -> io::Result<i32> {
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let command =
        Command::new(PROGRAM).args(["daemon"]).env("PATH", SEARCH_PATH).env("HOME", "/root");
    let child = variables
        .iter()
        .fold(command, |command, (name, value)| command.env(name, value))
        .current_dir("/")
        .descriptor(nothing, 0)
        .new_session()
        .oom_score_adj(DAEMON_OOM_SCORE)
        .spawn()?;
    Ok(child.pid)
}

fn time_until(moment: Instant) -> Timespec {
    let left = moment.saturating_duration_since(Instant::now());
    // Fits: no deadline is further away than seconds.
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

fn unix_nanos() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// How long to wait before the daemon is started again.
#[derive(Debug, Default)]
struct Restarts {
    early_deaths: u32,
}

impl Restarts {
    /// A daemon that ran for so long counts as healthy.
    const HEALTHY: Duration = Duration::from_secs(10);
    const FREE: u32 = 3;
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(10);

    fn delay(&mut self, ran: Duration) -> Duration {
        if ran >= Self::HEALTHY {
            self.early_deaths = 0;
        }
        self.early_deaths = self.early_deaths.saturating_add(1);
        match self.early_deaths.checked_sub(Self::FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                Self::FIRST.saturating_mul(1 << doublings.min(16)).min(Self::LONGEST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_dies_is_started_again_at_once() {
        assert_eq!(Restarts::default().delay(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn one_that_dies_early_again_and_again_waits_longer_but_never_long() {
        let mut restarts = Restarts::default();
        let delays: Vec<u128> =
            (0..12).map(|_| restarts.delay(Duration::from_millis(5)).as_millis()).collect();
        assert_eq!(delays[..6], [0, 0, 0, 100, 200, 400]);
        assert_eq!(delays[11], 10_000);
        (0..10_000).for_each(|_| assert!(restarts.delay(Duration::ZERO) <= Restarts::LONGEST));
        assert_eq!(restarts.delay(Duration::ZERO), Duration::from_secs(10));
    }

    #[test]
    fn one_that_ran_well_for_a_while_starts_at_once_again() {
        let mut restarts = Restarts::default();
        (0..20).for_each(|_| assert!(restarts.delay(Duration::ZERO) <= Restarts::LONGEST));
        assert_eq!(restarts.delay(Duration::from_secs(11)), Duration::ZERO);
    }
}
