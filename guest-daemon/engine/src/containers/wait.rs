//! Waiting: a predicate on the published snapshot, so that nothing that happened is missed.

use futures::future::BoxFuture;

use super::Containers;
use super::registry::Snapshot;
use super::types::{Status, WaitCondition, WaitResult};
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
        let exits = handle.look().exits;
        let mut snapshot = handle.snapshot.clone();
        Ok(Box::pin(async move {
            // An error means that the daemon goes: what is known last is the best there is.
            drop(snapshot.wait_for(|now| holds(now, condition, exits)).await);
            let last = snapshot.borrow().clone();
            let state = &last.container.state;
            Ok(WaitResult { code: state.exit_code, error: state.error.clone() })
        }))
    }
}

fn holds(now: &Snapshot, condition: WaitCondition, exits: u64) -> bool {
    let status = now.container.state.status;
    now.removed
        || match condition {
            WaitCondition::NotRunning => {
                !matches!(status, Status::Running | Status::Paused | Status::Restarting)
            }
            WaitCondition::NextExit => now.exits > exits,
            WaitCondition::Removed => false,
        }
}
