//! A process that is the same one as before, not another with its number.

use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process id and when that process began: together never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pid: i32,
    started: String,
}

impl ProcessIdentity {
    /// The process that has this id now, unless it has ended.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, started: start_of(pid)? })
    }

    pub(crate) fn is_alive(&self) -> bool {
        start_of(self.pid).is_some_and(|started| started == self.started)
    }

    /// Ends it without asking; succeeds when it is gone already.
    pub(crate) fn kill(&self) {
        // Killing what is gone fails, which is just as well.
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
            // The descriptor holds on to one process; now it only has to be the right one.
            if self.is_alive() {
                pidfd_send_signal(process, Signal::KILL).ok();
            }
        }
        #[cfg(not(target_os = "linux"))]
        if self.is_alive() {
            rustix::process::kill_process(pid, Signal::KILL).ok();
        }
    }

    /// Waits until it is gone, and says whether it is.
    pub(crate) async fn gone_within(&self, bound: Duration) -> bool {
        tokio::time::timeout(bound, self.gone()).await.is_ok() || !self.is_alive()
    }

    #[cfg(target_os = "linux")]
    async fn gone(&self) {
        use rustix::process::{PidfdFlags, pidfd_open};
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;

        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of types that close their descriptor \
                      early, which an OwnedFd does not"
        )]
        let register = |process| AsyncFd::with_interest(process, Interest::READABLE);
        let opened = Pid::from_raw(self.pid)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .and_then(|process| register(process).ok());
        // The descriptor becomes readable when the process ends.
        if let Some(process) = opened
            && self.is_alive()
        {
            process.readable().await.map(drop).ok();
        }
    }

    #[cfg(not(target_os = "linux"))]
    async fn gone(&self) {
        // There is nothing to wait on for a process that is not a child.
        while self.is_alive() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// When a process began, in whatever form the system tells it; `None` if it has ended, even if
/// nobody has taken notice yet. Its last thread decides: until that has gone, it has open files and
/// their locks.
#[cfg(target_os = "linux")]
fn start_of(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from its end: state is the third field
    // of the line, the number of threads the twentieth, the start time the twenty-second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let threads = fields.nth(16)?;
    let ticks = fields.nth(1)?;
    if state == "X" || (state == "Z" && matches!(threads, "0" | "1")) {
        return None;
    }
    // Ticks since boot would be ambiguous after a reboot.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{} {ticks}", boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn start_of(pid: i32) -> Option<String> {
    let output = std::process::Command::new("/bin/ps")
        .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (state, started) = line.split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> std::process::Child {
        std::process::Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[tokio::test]
    async fn a_killed_process_is_gone_although_nobody_has_reaped_it() {
        let mut child = sleeper();
        let process = ProcessIdentity::of(child.id()).unwrap();
        assert!(process.is_alive());
        assert!(!process.gone_within(Duration::from_millis(1)).await);
        process.kill();
        assert!(process.gone_within(Duration::from_secs(60)).await);
        assert!(!process.is_alive());
        child.wait().unwrap();
    }

    /// A QEMU that was killed on a busy host: the next one cannot have its disk yet.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[tokio::test]
    async fn a_process_is_alive_until_its_last_thread_is_gone() {
        // The first thread alone ends by the system call itself, number 60.
        let program = "import ctypes, threading, time\n\
                       threading.Thread(target=time.sleep, args=(600,)).start()\n\
                       ctypes.CDLL(None).syscall(60, 0)";
        let mut child =
            std::process::Command::new("python3").args(["-c", program]).spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
            tokio::task::yield_now().await;
        }
        let process = ProcessIdentity::of(child.id()).unwrap();
        assert!(process.is_alive());
        process.kill();
        assert!(process.gone_within(Duration::from_secs(60)).await);
        assert!(!process.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let mut child = sleeper();
        let mut stranger = ProcessIdentity::of(child.id()).unwrap();
        stranger.started += "0";
        assert!(!stranger.is_alive());
        stranger.kill();
        assert!(ProcessIdentity::of(child.id()).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
