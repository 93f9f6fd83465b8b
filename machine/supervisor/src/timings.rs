//! What of a start took how long.

use std::time::Duration;

use boot::BootTimings;
use tokio::time::Instant;

/// What the host's clock said.
pub(crate) struct Moments {
    pub(crate) began: Instant,
    pub(crate) resumed: Instant,
    pub(crate) ready: Instant,
    pub(crate) answered: Instant,
}

/// What took how long, so that the sum is the time from QEMU's start to the API's answer:
///
/// - `qemu`: QEMU is started, answers over QMP, and its vCPUs may run (host's clock);
/// - `kernel`: from there to the first instruction of PID 1, firmware included (what is left of
///   the host's time when the guest's own is taken away);
/// - `init`: from there to the daemon's `main` (guest's clock);
/// - `daemon`: from there until the API listens (guest's clock);
/// - `api`: one TLS `GET /_ping` (host's clock).
pub(crate) fn timings(host: &Moments, guest: &BootTimings) -> Vec<(String, Duration)> {
    let between = |from: u64, to: u64| Duration::from_micros(to.saturating_sub(from));
    let booted = host.ready - host.resumed;
    let user_space = between(guest.init_start, guest.api_listening);
    let list = [
        ("qemu", host.resumed - host.began),
        ("kernel", booted.saturating_sub(user_space)),
        ("init", between(guest.init_start, guest.daemon_start)),
        ("daemon", between(guest.daemon_start, guest.api_listening)),
        ("api", host.answered - host.ready),
    ];
    list.map(|(name, duration)| (name.to_owned(), duration)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timings_add_up_to_the_whole_start() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let host = Moments { began, resumed: at(30), ready: at(1030), answered: at(1100) };
        let guest = BootTimings {
            init_start: 400_000,
            disk_mounted: 450_000,
            daemon_start: 500_000,
            api_listening: 700_000,
        };
        let timings = timings(&host, &guest);
        let shown: Vec<_> =
            timings.iter().map(|(name, time)| format!("{name} {}", time.as_millis())).collect();
        assert_eq!(shown, ["qemu 30", "kernel 700", "init 100", "daemon 200", "api 70"]);
    }

    #[test]
    fn a_guest_whose_clock_makes_no_sense_does_not_hurt() {
        let now = Instant::now();
        let host = Moments { began: now, resumed: now, ready: now, answered: now };
        let guest = BootTimings { init_start: 9, api_listening: u64::MAX, ..Default::default() };
        assert_eq!(timings(&host, &guest)[1].1, Duration::ZERO);
    }
}
