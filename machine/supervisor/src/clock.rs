//! Notices that the host slept or that its clock was set: then the guest's clock is wrong.

use std::time::{Duration, Instant, SystemTime};

/// How far the host's two clocks may part before it counts as a jump.
const JUMP: Duration = Duration::from_millis(500);

/// How wrong the guest's clock may be. It begins wrong by up to a second, which is as fine as the
/// real-time clock tells it.
const TOLERANCE: Duration = Duration::from_millis(20);

/// Compares the wall clock with one that stands still while the host sleeps.
#[derive(Debug)]
pub(crate) struct JumpWatch {
    wall: SystemTime,
    monotonic: Instant,
}

impl JumpWatch {
    pub(crate) fn new(wall: SystemTime, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// Whether the wall clock has jumped since the last call.
    pub(crate) fn jumped(&mut self, wall: SystemTime, monotonic: Instant) -> bool {
        let expected = self.wall + monotonic.duration_since(self.monotonic);
        (self.wall, self.monotonic) = (wall, monotonic);
        apart(expected, wall) > JUMP
    }
}

/// Whether the guest's time, as it was when the host's was `asked` and `answered`, is wrong.
pub(crate) fn is_off(guest: SystemTime, asked: SystemTime, answered: SystemTime) -> bool {
    guest + TOLERANCE < asked || answered + TOLERANCE < guest
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|negative| negative.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_that_passes_evenly_is_no_jump() {
        let (wall, monotonic) = (SystemTime::now(), Instant::now());
        let mut watch = JumpWatch::new(wall, monotonic);
        for second in 1..100 {
            assert!(!watch.jumped(wall + SECOND * second, monotonic + SECOND * second));
        }
    }

    #[test]
    fn a_sleep_and_a_clock_set_back_are_noticed_once() {
        let (wall, monotonic) = (SystemTime::now(), Instant::now());
        let mut watch = JumpWatch::new(wall, monotonic);
        assert!(watch.jumped(wall + SECOND * 3600, monotonic + SECOND));
        assert!(!watch.jumped(wall + SECOND * 3601, monotonic + SECOND * 2));
        assert!(watch.jumped(wall, monotonic + SECOND * 3));
    }

    #[test]
    fn a_slow_answer_does_not_make_a_clock_wrong() {
        let now = SystemTime::now();
        assert!(!is_off(now + SECOND, now, now + SECOND * 2));
        assert!(is_off(now - SECOND, now, now + SECOND * 2));
        assert!(is_off(now + SECOND * 3, now, now + SECOND * 2));
    }
}
