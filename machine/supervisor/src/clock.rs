//! The guest's clock: when it is wrong, and how it is set.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use machine_qemu::agent::Agent;

use crate::journal::note;
use crate::vm::Vm;

/// How far the host's two clocks may part before it counts as a jump.
const JUMP: Duration = Duration::from_millis(500);

/// How wrong the guest's clock may be. It begins wrong by up to a second, which is as fine as the
/// real-time clock tells it.
const TOLERANCE: Duration = Duration::from_millis(20);

/// How long the guest's agent may take.
const AGENT_BOUND: Duration = Duration::from_secs(1);
/// A guest that has just woken up has other things to do too.
const ATTEMPTS: usize = 3;

/// Why the guest's clock may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    Started,
    /// It certainly is.
    Jumped,
    MayHaveDrifted,
}

/// Gives the guest the host's time, without keeping the caller from its work. An agent that is not
/// there is no trouble: the next one will be.
pub(crate) fn correct(vm: Arc<Vm>, because: Because) {
    tokio::spawn(async move {
        if because == Because::Jumped || is_wrong(&vm).await {
            set(&mut *vm.agent.lock().await, because).await;
        }
    });
}

async fn is_wrong(vm: &Vm) -> bool {
    let mut agent = vm.agent.lock().await;
    let asked = SystemTime::now();
    let Ok(guest) = agent.time(AGENT_BOUND).await else { return false };
    let guest = UNIX_EPOCH + Duration::from_nanos(u64::try_from(guest).unwrap_or(0));
    is_off(guest, asked, SystemTime::now())
}

/// Sets the guest's clock to the host's time.
pub(crate) async fn set(agent: &mut Agent, because: Because) {
    for _ in 0..ATTEMPTS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanoseconds = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        match agent.set_time(nanoseconds, AGENT_BOUND).await {
            Ok(()) => return note(format_args!("the guest's clock was set ({because:?})")),
            Err(error) => note(format_args!("the guest's clock was not set: {error}")),
        }
    }
}

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
fn is_off(guest: SystemTime, asked: SystemTime, answered: SystemTime) -> bool {
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
