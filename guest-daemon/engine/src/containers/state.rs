//! What a container does when it is told something, as a table without effects.
//!
//! ```text
//!             start            started
//!  Created ──────────► Starting ─────► Running ──stop──► Stopping
//!     ▲                  │  ▲            │                   │
//!     └─── start failed ─┘  │start       │ exit              │ exit
//!          (or Exited)      │            ▼                   ▼
//!                         Exited ◄── no restart?          Exited
//!                           │  ▲         │ restart
//!                    remove │  └─ stop ── Restarting ──backoff over──► Starting
//!                           ▼
//!                        Removed
//! ```

/// Where a container is, with the moments in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Created,
    /// A job builds it; the answer comes as a message.
    Starting,
    Running,
    /// The stop signal was sent and the grace period runs; more signals are still heard.
    Stopping,
    /// It ended and is started again after a while.
    Restarting,
    Exited,
}

/// What it can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Start,
    Stop,
    Kill,
    Remove {
        force: bool,
    },
    Rename,
    /// Pause or go on.
    Pause,
    /// Other limits.
    Update,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Do what was asked for.
    Act,
    /// Nothing to do.
    AlreadyDone,
    /// Ask again when the job that runs has answered.
    Defer,
    /// Wait together with those who asked before.
    Join,
    /// It waits to be restarted: do not.
    CancelRestart,
    /// Kill it first, then do it.
    KillFirst,
    /// It must run for this.
    RefuseNotRunning,
    /// It must not run for this.
    RefuseRunning,
    /// It must not be waiting to be restarted for this.
    RefuseRestarting,
}

pub(crate) fn decide(phase: Phase, request: Request) -> Decision {
    use Decision as D;
    use Phase as P;
    match (request, phase) {
        (_, P::Starting) => D::Defer,
        (Request::Start, P::Created | P::Exited) => D::Act,
        (Request::Start, P::Running | P::Stopping | P::Restarting) => D::AlreadyDone,
        (Request::Stop, P::Created | P::Exited) => D::AlreadyDone,
        (Request::Stop, P::Running) => D::Act,
        (Request::Stop, P::Stopping) => D::Join,
        (Request::Stop | Request::Kill, P::Restarting) => D::CancelRestart,
        (Request::Kill, P::Created | P::Exited) => D::RefuseNotRunning,
        (Request::Kill, P::Running | P::Stopping) => D::Act,
        (Request::Remove { .. }, P::Created | P::Exited) => D::Act,
        (Request::Remove { force: true }, P::Running | P::Stopping) => D::KillFirst,
        (Request::Remove { force: true }, P::Restarting) => D::CancelRestart,
        (Request::Remove { force: false }, P::Running | P::Stopping | P::Restarting) => {
            D::RefuseRunning
        }
        (
            Request::Rename | Request::Update,
            P::Created | P::Running | P::Stopping | P::Restarting | P::Exited,
        ) => D::Act,
        (Request::Pause, P::Created | P::Exited) => D::RefuseNotRunning,
        (Request::Pause, P::Running | P::Stopping) => D::Act,
        (Request::Pause, P::Restarting) => D::RefuseRestarting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Phase; 6] = [
        Phase::Created,
        Phase::Starting,
        Phase::Running,
        Phase::Stopping,
        Phase::Restarting,
        Phase::Exited,
    ];

    #[test]
    fn starting_what_runs_and_stopping_what_does_not_is_already_done() {
        assert_eq!(decide(Phase::Running, Request::Start), Decision::AlreadyDone);
        assert_eq!(decide(Phase::Exited, Request::Stop), Decision::AlreadyDone);
        assert_eq!(decide(Phase::Created, Request::Stop), Decision::AlreadyDone);
    }

    #[test]
    fn a_kill_is_heard_while_stopping() {
        assert_eq!(decide(Phase::Stopping, Request::Kill), Decision::Act);
    }

    #[test]
    fn a_running_container_is_not_removed_unless_forced() {
        let gentle = Request::Remove { force: false };
        for phase in [Phase::Running, Phase::Stopping, Phase::Restarting] {
            assert_eq!(decide(phase, gentle), Decision::RefuseRunning);
        }
        assert_eq!(decide(Phase::Running, Request::Remove { force: true }), Decision::KillFirst);
    }

    #[test]
    fn nothing_interrupts_a_start_and_nothing_else_waits() {
        for request in [
            Request::Start,
            Request::Stop,
            Request::Kill,
            Request::Remove { force: true },
            Request::Rename,
            Request::Pause,
            Request::Update,
        ] {
            for phase in ALL {
                let deferred = decide(phase, request) == Decision::Defer;
                assert_eq!(deferred, phase == Phase::Starting, "{phase:?} {request:?}");
            }
        }
    }
}
