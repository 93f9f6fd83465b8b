//! What happens when a container's memory runs out while it goes on.

use super::{Command, Task};

impl Task {
    /// Has the task told of every process that the kernel kills for want of memory.
    pub(super) fn watch_memory(&self) {
        let (core, own, id) = (self.core.clone(), self.own.clone(), self.record.id.clone());
        let mut ended = self.publisher.subscribe();
        let exits = self.exits;
        self.core.tasks.spawn(async move {
            let mut known = 0;
            loop {
                let kills = tokio::select! {
                    kills = core.runtime.memory_kills(&id, known) => kills,
                    _ = ended.wait_for(|now| now.removed || now.exits != exits) => return,
                    () = core.stop.cancelled() => return,
                };
                match kills {
                    Ok(kills) => known = kills,
                    // Its group is gone, because it has ended.
                    Err(error) => {
                        tracing::debug!(container = id, reason = %error, "memory is not watched");
                        return;
                    }
                }
                if own.send(Command::MemoryKill).await.is_err() {
                    return;
                }
            }
        });
    }

    pub(super) async fn memory_kill(&mut self) {
        // When it has ended in the meantime, that was told with the end.
        if self.record.state.pid != 0 {
            self.record.state.oom_killed = true;
            self.commit().await;
            self.event("oom", &[]);
        }
    }
}
