//! Whether and when a container that ended is started again.

use std::time::Duration;

use crate::config::RestartPolicy;
use crate::error::{Error, Result};

/// The shortest and longest wait between two attempts.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// A container that ran this long begins counting anew.
const SETTLED: Duration = Duration::from_secs(10);

/// How a container ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub exit_code: i32,
    /// It was stopped, or killed by the signal that stops it.
    pub cancelled: bool,
    /// A user sent it any signal.
    pub manually_stopped: bool,
    pub restarts: i64,
}

pub(super) fn again(policy: &RestartPolicy, ended: Ended) -> bool {
    !ended.cancelled && wanted(policy, ended)
}

/// Whether a container that has run and does not now is started when the engine opens.
pub(super) fn at_open(policy: &RestartPolicy, ended: Ended) -> bool {
    wanted(policy, ended)
}

fn wanted(policy: &RestartPolicy, ended: Ended) -> bool {
    let most = policy.maximum_retry_count;
    match policy.name.as_str() {
        "always" => true,
        "unless-stopped" => !ended.manually_stopped,
        "on-failure" => ended.exit_code != 0 && (most == 0 || ended.restarts < most),
        _ => false,
    }
}

/// The wait before the next attempt: doubled each time, unless it ran for a while.
pub(super) fn next_wait(last: Option<Duration>, ran_for: Duration) -> Duration {
    match last {
        Some(last) if ran_for < SETTLED => (last * 2).min(LONGEST),
        _ => FIRST,
    }
}

pub(super) fn check(policy: &RestartPolicy, auto_remove: bool) -> Result<()> {
    let refuse = |text: String| Err(Error::invalid(text));
    match policy.name.as_str() {
        "" | "no" | "always" | "unless-stopped" | "on-failure" => {}
        other => {
            return refuse(format!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', \
                 'on-failure', or 'unless-stopped'"
            ));
        }
    }
    if policy.maximum_retry_count != 0 && policy.name != "on-failure" {
        return refuse(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'".into(),
        );
    }
    if policy.maximum_retry_count < 0 {
        return refuse("invalid restart policy: maximum retry count cannot be negative".into());
    }
    if auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return refuse("can't create 'AutoRemove' container with restart policy".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, most: i64) -> RestartPolicy {
        RestartPolicy { name: name.into(), maximum_retry_count: most }
    }

    #[test]
    fn policies_decide_as_docker_does() {
        let ended = |exit_code, cancelled, manually_stopped, restarts| Ended {
            exit_code,
            cancelled,
            manually_stopped,
            restarts,
        };
        for (name, most, ended, expected) in [
            ("no", 0, ended(1, false, false, 0), false),
            ("always", 0, ended(0, false, false, 7), true),
            ("always", 0, ended(0, false, true, 7), true),
            ("always", 0, ended(0, true, true, 7), false),
            ("on-failure", 0, ended(0, false, false, 0), false),
            ("on-failure", 2, ended(1, false, false, 1), true),
            ("on-failure", 2, ended(1, false, false, 2), false),
            ("unless-stopped", 0, ended(1, false, false, 0), true),
            ("unless-stopped", 0, ended(1, false, true, 0), false),
        ] {
            assert_eq!(again(&policy(name, most), ended), expected, "{name} {ended:?}");
        }
        assert!(at_open(&policy("always", 0), ended(0, true, true, 0)));
        assert!(!at_open(&policy("unless-stopped", 0), ended(0, true, true, 0)));
        assert!(at_open(&policy("on-failure", 0), ended(143, true, true, 0)));
    }

    #[test]
    fn the_wait_doubles_until_it_ran_for_a_while() {
        let short = Duration::from_secs(1);
        assert_eq!(next_wait(None, short), FIRST);
        assert_eq!(next_wait(Some(FIRST), short), FIRST * 2);
        assert_eq!(next_wait(Some(LONGEST), short), LONGEST);
        assert_eq!(next_wait(Some(LONGEST), SETTLED), FIRST);
    }
}
