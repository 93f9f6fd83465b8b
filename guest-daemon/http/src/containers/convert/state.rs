//! Where a container is in its life, in Docker's words.

use engine::containers::{Container, Health, HealthStatus, Probe, State, Status};
use engine_api::container_inspect as api;

use crate::times;

pub(super) fn to_api(state: &State) -> api::State {
    // For Docker a paused or restarting container runs.
    let running = matches!(state.status, Status::Running | Status::Paused | Status::Restarting);
    api::State {
        status: state.status.name().to_owned(),
        running,
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: state.pid,
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: times::rfc3339_or_never(state.started_at),
        finished_at: times::rfc3339_or_never(state.finished_at),
        health: state.health.as_ref().map(health_to_api),
    }
}

fn health_to_api(health: &Health) -> api::Health {
    let result = |probe: &Probe| api::HealthcheckResult {
        start: times::rfc3339(probe.start.into()),
        end: times::rfc3339(probe.end.into()),
        exit_code: probe.exit_code,
        output: probe.output.clone(),
    };
    api::Health {
        status: health.status.name().to_owned(),
        failing_streak: health.failing_streak,
        log: health.log.iter().map(result).collect(),
    }
}

fn health_in_words(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Starting => "health: starting",
        HealthStatus::Healthy | HealthStatus::Unhealthy => status.name(),
    }
}

/// The column STATUS of `docker ps`.
pub(super) fn spoken(container: &Container, now: i128) -> String {
    let state = &container.state;
    let since = |moment: Option<i128>| times::spoken(now - moment.unwrap_or(now));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let health = state.health.as_ref();
            let health = health.map(|health| format!(" ({})", health_in_words(health.status)));
            format!("Up {}{}", since(state.started_at), health.unwrap_or_default())
        }
        Status::Paused => format!("Up {} (Paused)", since(state.started_at)),
        Status::Restarting => {
            format!("Restarting ({}) {} ago", state.exit_code, since(state.finished_at))
        }
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Exited if state.finished_at.is_none() => String::new(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished_at)),
        Status::Dead => "Dead".to_owned(),
    }
}
