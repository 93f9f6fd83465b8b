//! `docker stats`: what a container uses, once or every second.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;

use super::Containers;
use super::core::Core;
use super::modes::{self, NetworkMode};
use super::registry::Handle;
use super::types::Status;
use crate::error::{Kind, Result};
use crate::ports::{CpuUsage, Usage};

const INTERVAL: Duration = Duration::from_secs(1);

/// What a container had used at a moment, and the moment before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// Nanoseconds since 1970; `None` when it does not run, and then there are no numbers.
    pub read: Option<i128>,
    pub usage: Usage,
    pub previous_read: Option<i128>,
    pub previous_cpu: CpuUsage,
}

impl Containers {
    /// One sample, with one of a second before unless it is a `one_shot`.
    pub async fn stats(&self, reference: &str, one_shot: bool) -> Result<Stats> {
        let handle = self.core.registry.find(reference)?;
        let first = sample(&self.core, &handle).await?;
        if one_shot || first.read.is_none() {
            return Ok(first);
        }
        tokio::time::sleep(INTERVAL).await;
        Ok(after(&first, sample(&self.core, &handle).await?))
    }

    /// A sample every second, until the container is removed.
    pub fn stats_stream(&self, reference: &str) -> Result<BoxStream<'static, Stats>> {
        let handle = self.core.registry.find(reference)?;
        let mut looking = handle.snapshot.clone();
        let stop = self.core.stop.clone();
        let over = async move {
            tokio::select! {
                _ = looking.wait_for(|now| now.removed) => {}
                () = stop.cancelled() => {}
            }
        };
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let state = (self.core.clone(), handle, ticks, Stats::default());
        let samples =
            futures::stream::unfold(state, |(core, handle, mut ticks, last)| async move {
                ticks.tick().await;
                let next = match sample(&core, &handle).await {
                    Ok(next) => after(&last, next),
                    Err(error) => {
                        tracing::warn!(error = error.with_causes(), "a container is not measured");
                        empty(&handle)
                    }
                };
                Some((next.clone(), (core, handle, ticks, next)))
            });
        Ok(samples.take_until(over).boxed())
    }
}

fn empty(handle: &Handle) -> Stats {
    let name = handle.look().container.name.clone();
    Stats { id: handle.id.clone(), name, ..Stats::default() }
}

fn after(last: &Stats, next: Stats) -> Stats {
    Stats { previous_read: last.read, previous_cpu: last.usage.cpu.clone(), ..next }
}

async fn sample(core: &Core, handle: &Handle) -> Result<Stats> {
    let snapshot = handle.look();
    let container = &snapshot.container;
    let stats = empty(handle);
    if !matches!(container.state.status, Status::Running | Status::Paused) {
        return Ok(stats);
    }
    match core.runtime.usage(&handle.id).await {
        Ok(mut usage) => {
            usage.memory.limit = usage.memory.limit.min(core.host.memory);
            // The guest's own traffic is not the container's.
            let network = modes::network(&container.config, &container.host);
            if matches!(network, Ok(NetworkMode::Host)) {
                usage.networks.clear();
            }
            Ok(Stats { read: Some(core.clock.now()), usage, ..stats })
        }
        // It has just ended.
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Conflict) => Ok(stats),
        Err(error) => Err(error),
    }
}
