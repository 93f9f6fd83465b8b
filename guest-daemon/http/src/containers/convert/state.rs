//! Where a container is in its life, in Docker's words.

use engine::containers::{Container, State, Status};
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
    }
}

/// The column STATUS of `docker ps`.
pub(super) fn spoken(container: &Container, now: i128) -> String {
    let state = &container.state;
    let since = |moment: Option<i128>| times::spoken(now - moment.unwrap_or(now));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", since(state.started_at)),
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
