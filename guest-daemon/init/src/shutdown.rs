//! The end: kill everything, write everything back, unmount, power off.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::console::{event, raw};
use crate::disk::DATA_ROOT;
use crate::mounts::mounted_beneath;
use crate::service::Ending;

/// How long killed processes may take to vanish.
const REAPING: Duration = Duration::from_secs(3);

/// Ends the machine. Only for PID 1.
pub(crate) fn end(ending: Ending) -> ! {
    kill_everything();
    nix::unistd::sync();
    unmount_data();
    raw("guest: halted\n");
    loop {
        // Without ACPI an x86 kernel has no way to power off and would halt for ever; a reset
        // ends QEMU too, which is started with -no-reboot.
        let can_power_off =
            !cfg!(target_arch = "x86_64") || Path::new("/sys/firmware/acpi").exists();
        if ending == Ending::PowerOff && can_power_off {
            let Err(error) = reboot(RebootMode::RB_POWER_OFF);
            event!(Error, "cannot power off", because = error);
        }
        let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
        event!(Error, "cannot reset", because = error);
        // Nothing is left to do but to wait for the host to end this machine.
        nix::unistd::pause();
    }
}

fn kill_everything() {
    if let Err(error) = kill(Pid::from_raw(-1), Signal::SIGKILL)
        && error != nix::errno::Errno::ESRCH
    {
        event!(Warn, "not everything was killed", because = error);
    }
    let deadline = Instant::now() + REAPING;
    loop {
        match guest_process::reap_any_until(deadline) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                event!(Warn, "processes are left", because = error);
                return;
            }
        }
    }
}

fn unmount_data() {
    let mounts = match std::fs::read_to_string("/proc/self/mounts") {
        Ok(mounts) => mounts,
        Err(error) => {
            event!(Warn, "mounts are not known", because = error);
            return;
        }
    };
    for target in mounted_beneath(&mounts, DATA_ROOT) {
        let unmounted = umount2(target.as_str(), MntFlags::UMOUNT_NOFOLLOW);
        let Err(error) = unmounted else { continue };
        event!(Warn, "not unmounted", path = target, because = error);
        if target == DATA_ROOT {
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            if let Err(error) = mount(None::<&str>, DATA_ROOT, None::<&str>, flags, None::<&str>) {
                event!(Error, "data disk is not clean", because = error);
            }
        }
    }
}
