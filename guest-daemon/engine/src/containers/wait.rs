//! Waiting: a predicate on the published snapshot, so that nothing that happened is missed.

use futures::future::BoxFuture;

use super::Containers;
use super::list::is_up;
use super::registry::Snapshot;
use super::types::{WaitCondition, WaitResult};
use crate::error::Result;

impl Containers {
    /// Fails at once when there is no such container; the future that it returns completes when
    /// the condition holds, so that an answer's head can be sent before.
    pub fn wait(
        &self,
        reference: &str,
        condition: WaitCondition,
    ) -> Result<BoxFuture<'static, Result<WaitResult>>> {
        let handle = self.core.registry.find(reference)?;
        let before = handle.look();
        let mut snapshot = handle.snapshot.clone();
        Ok(Box::pin(async move {
            // An error means that the daemon goes: what is known last is the best there is.
            drop(snapshot.wait_for(|now| holds(&before, now, condition)).await);
            let last = snapshot.borrow().clone();
            let state = &last.container.state;
            Ok(WaitResult { code: state.exit_code, error: state.error.clone() })
        }))
    }
}

fn holds(before: &Snapshot, now: &Snapshot, condition: WaitCondition) -> bool {
    let ended = now.exits > before.exits;
    now.removed
        || match condition {
            // Also when it will be started again.
            WaitCondition::NotRunning => ended || !is_up(now.container.state.status),
            WaitCondition::NextExit => ended,
            WaitCondition::Removed => now.failed_removals > before.failed_removals,
        }
}
