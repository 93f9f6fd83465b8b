//! What a machine does, in the words of the command line, and what follows for an operation.
//!
//! ```text
//!              start                       ready
//!   Stopped ──────────► Starting ─────────────────────► Running ◄──► Paused
//!      ▲                  ▲ │ died                         │ stop      │
//!      ├──────────────────│─┴──────────── Stopping ◄───────┤           │
//!      │                  └── start ── Saved ◄── suspend ──┴───────────┘
//!      └── kill ◄── any of them, and Error: QEMU runs but does not answer
//! ```

use std::fmt;

use crate::driver::Observed;

/// The state of a machine; derived when asked for, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Running,
    Paused,
    /// Stopped, with a memory to go on from.
    Saved,
    Stopped,
    Stopping,
    Starting,
    /// It cannot be told, or nothing answers.
    Error,
    /// It did not answer in the time given.
    Timeout,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Start,
    /// Stop or kill.
    End,
    /// Talk to what runs in it.
    Use,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Act,
    AlreadyDone,
    Refuse,
}

pub(crate) fn decide(operation: Operation, state: State) -> Decision {
    match (operation, state) {
        (Operation::Start, State::Stopped | State::Saved | State::Paused)
        | (Operation::Use, State::Running) => Decision::Act,
        (Operation::Start, State::Running) | (Operation::End, State::Stopped | State::Saved) => {
            Decision::AlreadyDone
        }
        (Operation::End, _) => Decision::Act,
        (Operation::Start | Operation::Use, _) => Decision::Refuse,
    }
}

impl From<Observed> for State {
    fn from(observed: Observed) -> Self {
        match observed {
            Observed::Stopped => Self::Stopped,
            Observed::Starting => Self::Starting,
            Observed::Running => Self::Running,
            Observed::Paused => Self::Paused,
            Observed::Stopping => Self::Stopping,
            Observed::Unresponsive => Self::Error,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Saved => "Saved",
            Self::Stopped => "Stopped",
            Self::Stopping => "Stopping",
            Self::Starting => "Starting",
            Self::Error => "Error",
            Self::Timeout => "Timeout",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 8] = [
        State::Running,
        State::Paused,
        State::Saved,
        State::Stopped,
        State::Stopping,
        State::Starting,
        State::Error,
        State::Timeout,
    ];

    #[test]
    fn only_what_stands_still_is_started_and_only_what_runs_is_used() {
        for state in ALL {
            let start = decide(Operation::Start, state);
            let still = [State::Stopped, State::Saved, State::Paused].contains(&state);
            assert_eq!(start == Decision::Act, still, "{state}");
            let using = decide(Operation::Use, state);
            assert_eq!(using == Decision::Act, state == State::Running, "{state}");
        }
    }

    #[test]
    fn whatever_runs_can_be_ended_also_when_it_does_not_answer() {
        for state in ALL {
            let end = decide(Operation::End, state);
            let ended = [State::Stopped, State::Saved].contains(&state);
            assert_eq!(end == Decision::AlreadyDone, ended, "{state}");
            assert_ne!(end, Decision::Refuse);
        }
    }
}
