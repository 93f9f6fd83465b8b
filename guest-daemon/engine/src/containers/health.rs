//! Health checks as values: what is run, when, and what a result means. Nothing runs here.

use std::time::Duration;

use engine_store::objects::{HealthRecord, HealthStatus, ProbeRecord};

use crate::config::{ContainerConfig, HealthConfig};
use crate::error::{Error, Result};

/// How many results are shown.
const REMEMBERED: usize = 5;

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: i64 = 3;

/// The least of every duration, in nanoseconds.
const LEAST: i64 = 1_000_000;

/// When probes run and how many may fail; every default is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    interval: Duration,
    start_interval: Duration,
    start_period: Duration,
    retries: i64,
    pub timeout: Duration,
}

impl Plan {
    pub(super) fn of(config: &ContainerConfig) -> Self {
        let given = config.healthcheck.clone().unwrap_or_default();
        let or = |nanos: i64, default: Duration| match u64::try_from(nanos) {
            Ok(nanos) if nanos > 0 => Duration::from_nanos(nanos),
            _ => default,
        };
        Self {
            interval: or(given.interval, INTERVAL),
            start_interval: or(given.start_interval, START_INTERVAL),
            start_period: or(given.start_period, Duration::ZERO),
            retries: if given.retries > 0 { given.retries } else { RETRIES },
            timeout: or(given.timeout, TIMEOUT),
        }
    }

    /// How long to wait before the next probe.
    pub(super) fn wait(&self, status: HealthStatus, since_start: Duration) -> Duration {
        if status == HealthStatus::Starting && since_start < self.start_period {
            self.start_interval
        } else {
            self.interval
        }
    }

    /// Takes a result in. `since_start` is how long the container had run when the probe began.
    /// `true` when the status is another one now.
    pub(super) fn take(
        &self,
        health: &mut HealthRecord,
        probe: ProbeRecord,
        since_start: Duration,
    ) -> bool {
        let before = health.status;
        let healthy = probe.exit_code == 0;
        health.log.push(probe);
        let surplus = health.log.len().saturating_sub(REMEMBERED);
        health.log.drain(..surplus);
        if healthy {
            health.failing_streak = 0;
            health.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || since_start >= self.start_period {
            health.failing_streak += 1;
            if health.failing_streak >= self.retries {
                health.status = HealthStatus::Unhealthy;
            }
        }
        health.status != before
    }
}

/// The command that tells whether the container is well; `None` when nothing is to be run.
pub(super) fn command(config: &ContainerConfig) -> Option<Vec<String>> {
    let (kind, words) = config.healthcheck.as_ref()?.test.split_first()?;
    match kind.as_str() {
        "CMD" if !words.is_empty() => Some(words.to_vec()),
        "CMD-SHELL" => {
            let shell = config.shell.clone().filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| ["/bin/sh", "-c"].map(str::to_owned).to_vec());
            Some([shell.as_slice(), words].concat())
        }
        _ => None,
    }
}

pub(super) fn check(config: &HealthConfig) -> Result<()> {
    for (name, nanos) in [
        ("Interval", config.interval),
        ("Timeout", config.timeout),
        ("StartPeriod", config.start_period),
        ("StartInterval", config.start_interval),
    ] {
        if nanos != 0 && nanos < LEAST {
            return Err(Error::invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if config.retries < 0 {
        return Err(Error::invalid("Retries in Healthcheck cannot be negative"));
    }
    Ok(())
}

/// Says so when a check was asked for that nothing here can run.
pub(super) fn warning(config: &ContainerConfig) -> Option<String> {
    let kind = config.healthcheck.as_ref()?.test.first()?;
    let none = kind == "NONE" || command(config).is_some();
    (!none).then(|| {
        format!("Unknown healthcheck type '{kind}' (expected 'CMD'): the health check is not run.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn config(test: &[&str]) -> ContainerConfig {
        let test = test.iter().map(|word| (*word).to_owned()).collect();
        ContainerConfig {
            healthcheck: Some(HealthConfig { test, ..HealthConfig::default() }),
            ..ContainerConfig::default()
        }
    }

    fn probe(exit_code: i32) -> ProbeRecord {
        ProbeRecord { exit_code, ..ProbeRecord::default() }
    }

    #[test]
    fn a_shell_runs_what_is_meant_for_a_shell() {
        let shell = config(&["CMD-SHELL", "curl localhost || exit 1"]);
        assert_eq!(command(&shell).unwrap(), ["/bin/sh", "-c", "curl localhost || exit 1"]);
        let own = ContainerConfig { shell: Some(vec!["/bin/ash".into()]), ..shell };
        assert_eq!(command(&own).unwrap()[0], "/bin/ash");
        assert_eq!(command(&config(&["CMD", "check", "-x"])).unwrap(), ["check", "-x"]);
        for nothing in [&["NONE"][..], &[], &["CMD"], &["HTTP", "/"]] {
            assert_eq!(command(&config(nothing)), None, "{nothing:?}");
        }
        assert!(warning(&config(&["HTTP", "/"])).is_some());
        assert!(warning(&config(&["NONE"])).is_none());
    }

    #[test]
    fn probes_come_more_often_while_it_starts() {
        let mut config = config(&["CMD", "true"]);
        let health = config.healthcheck.as_mut().unwrap();
        (health.start_period, health.start_interval) = (60 * SECOND, SECOND);
        let plan = Plan::of(&config);
        let (early, late) = (Duration::from_secs(10), Duration::from_secs(60));
        assert_eq!(plan.wait(HealthStatus::Starting, early), Duration::from_secs(1));
        assert_eq!(plan.wait(HealthStatus::Healthy, early), INTERVAL);
        assert_eq!(plan.wait(HealthStatus::Starting, late), INTERVAL);
    }

    #[test]
    fn failures_count_after_the_start_period_only() {
        let mut config = config(&["CMD", "false"]);
        config.healthcheck.as_mut().unwrap().start_period = 10 * SECOND;
        let plan = Plan::of(&config);
        let mut health = HealthRecord::default();
        assert!(!plan.take(&mut health, probe(1), Duration::from_secs(9)));
        assert_eq!(health.failing_streak, 0);
        let late = Duration::from_secs(11);
        assert!(!plan.take(&mut health, probe(1), late));
        assert!(!plan.take(&mut health, probe(1), late));
        assert!(plan.take(&mut health, probe(1), late));
        assert_eq!((health.status, health.failing_streak), (HealthStatus::Unhealthy, 3));
        assert!(plan.take(&mut health, probe(0), late));
        assert_eq!((health.status, health.failing_streak), (HealthStatus::Healthy, 0));
    }

    #[test]
    fn the_last_five_results_are_kept() {
        let plan = Plan::of(&config(&["CMD", "true"]));
        let mut health = HealthRecord::default();
        for code in 1..=7 {
            plan.take(&mut health, probe(code), Duration::ZERO);
        }
        let codes: Vec<i32> = health.log.iter().map(|probe| probe.exit_code).collect();
        assert_eq!(codes, [3, 4, 5, 6, 7]);
    }

    #[test]
    fn durations_below_a_millisecond_are_refused_in_dockers_words() {
        let config = HealthConfig { timeout: 1, ..HealthConfig::default() };
        let error = check(&config).unwrap_err();
        assert_eq!(error.to_string(), "Timeout in Healthcheck cannot be less than 1ms");
        assert!(check(&HealthConfig { retries: -1, ..HealthConfig::default() }).is_err());
    }
}
