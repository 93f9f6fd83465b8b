//! What a machine does, as its supervisor sees it. Pure: what happens comes in, what is comes out.

use machine_lifecycle::driver::Observed;

/// ```text
///  Launching ─resumed─► Booting ─ready─► Proving ─answered─► Running ◄─resumed/paused─► Paused
///      └──loading─► Loading ──resumed─────▲                     │
///                          ┌────────────────────────────────────┤
///                          ▼             reset                  │ (Booting ─ready─► Running)
///     any ──stop requested──► Stopping ──ended──► Gone          ┘
/// ```
/// A guest that restarts is booting until it says that it is ready; its API has been proved once
/// and is not asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// QEMU is being started; no vCPU runs.
    Launching,
    Booting {
        proved: bool,
    },
    /// No vCPU runs; QEMU reads what was saved.
    Loading,
    /// The guest says that its API listens; it has not answered yet.
    Proving,
    Running,
    /// The vCPUs stand still, or none can go on (no room on the host's disk).
    Paused,
    Stopping,
    Gone,
}

/// What can happen to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A saved state is read instead of booting.
    Loading,
    /// The vCPUs run (again).
    Resumed,
    /// The vCPUs stand still.
    Paused,
    /// The guest's daemon listens.
    Ready,
    /// The API has answered.
    Answered,
    /// The guest starts from its first instruction.
    Reset,
    StopRequested,
    /// QEMU is gone.
    Ended,
}

impl State {
    #[must_use]
    pub(crate) fn after(self, happening: Happening) -> Self {
        use Happening as H;
        match (self, happening) {
            (_, H::Ended) | (Self::Gone, _) => Self::Gone,
            (_, H::StopRequested) | (Self::Stopping, _) => Self::Stopping,
            (Self::Launching, H::Loading) => Self::Loading,
            (Self::Loading, H::Resumed) => Self::Proving,
            (Self::Launching, H::Resumed) => Self::Booting { proved: false },
            (Self::Booting { proved: false }, H::Ready) => Self::Proving,
            (Self::Booting { proved: true }, H::Ready) => Self::Running,
            (Self::Proving, H::Answered) => Self::Running,
            (Self::Running, H::Paused) => Self::Paused,
            (Self::Paused, H::Resumed) => Self::Running,
            (Self::Running | Self::Paused, H::Reset) => Self::Booting { proved: true },
            (Self::Proving, H::Reset) => Self::Booting { proved: false },
            (state, _) => state,
        }
    }

    /// What others are told.
    #[must_use]
    pub(crate) fn observed(self) -> Observed {
        match self {
            Self::Launching | Self::Booting { .. } | Self::Loading | Self::Proving => {
                Observed::Starting
            }
            Self::Running => Observed::Running,
            Self::Paused => Observed::Paused,
            Self::Stopping => Observed::Stopping,
            Self::Gone => Observed::Stopped,
        }
    }

    /// For `the machine ended while …`.
    #[must_use]
    pub(crate) fn phase(self) -> &'static str {
        match self {
            Self::Launching => "starting QEMU",
            Self::Booting { .. } => "booting the guest",
            Self::Loading => "reading the saved state",
            Self::Proving => "waiting for the API",
            Self::Running | Self::Paused => "running",
            Self::Stopping | Self::Gone => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(happenings: &[Happening]) -> State {
        happenings.iter().fold(State::Launching, |state, happening| state.after(*happening))
    }

    const STARTED: [Happening; 3] = [Happening::Resumed, Happening::Ready, Happening::Answered];

    #[test]
    fn a_machine_runs_once_its_api_has_answered_and_not_before() {
        assert_eq!(after(&STARTED[..1]).observed(), Observed::Starting);
        assert_eq!(after(&STARTED[..2]).observed(), Observed::Starting);
        assert_eq!(after(&STARTED).observed(), Observed::Running);
    }

    #[test]
    fn a_machine_that_goes_on_from_a_saved_state_runs_once_its_api_has_answered() {
        let loading = after(&[Happening::Loading]);
        assert_eq!(loading.observed(), Observed::Starting);
        let resumed = loading.after(Happening::Resumed);
        assert_eq!(resumed.observed(), Observed::Starting);
        assert_eq!(resumed.after(Happening::Answered), State::Running);
    }

    #[test]
    fn a_guest_that_restarts_is_starting_until_it_is_ready_again() {
        let reset = after(&STARTED).after(Happening::Reset);
        assert_eq!(reset.observed(), Observed::Starting);
        assert_eq!(reset.after(Happening::Ready), State::Running);
    }

    #[test]
    fn a_daemon_that_starts_anew_changes_nothing() {
        assert_eq!(after(&STARTED).after(Happening::Ready), State::Running);
    }

    #[test]
    fn a_paused_machine_runs_on_when_resumed() {
        let paused = after(&STARTED).after(Happening::Paused);
        assert_eq!(paused, State::Paused);
        assert_eq!(paused.after(Happening::Resumed), State::Running);
    }

    #[test]
    fn nothing_but_its_end_follows_a_stop() {
        let stopping = after(&STARTED).after(Happening::StopRequested);
        let others = [
            Happening::Resumed,
            Happening::Paused,
            Happening::Ready,
            Happening::Answered,
            Happening::Reset,
            Happening::StopRequested,
        ];
        for happening in others {
            assert_eq!(stopping.after(happening), State::Stopping);
            assert_eq!(State::Gone.after(happening), State::Gone);
        }
        assert_eq!(stopping.after(Happening::Ended), State::Gone);
    }

    #[test]
    fn qemu_can_end_at_any_time() {
        for length in 0..=STARTED.len() {
            assert_eq!(after(&STARTED[..length]).after(Happening::Ended), State::Gone);
        }
    }
}
