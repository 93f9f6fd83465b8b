//! Containers: one task owns each, everybody else sees the last published snapshot.

mod attach;
mod commit;
mod copy;
mod core;
mod create;
mod detach;
mod devices;
mod differences;
mod endpoints;
mod files;
mod health;
mod image_mounts;
mod launch;
mod links;
mod list;
mod merge;
mod modes;
mod mount_requests;
mod mounts;
mod names;
mod ports;
mod prune;
mod recover;
mod registry;
mod restart;
mod security;
mod signals;
mod snapshot;
mod spec;
mod state;
mod stats;
mod task;
mod top;
mod types;
mod update;
mod validate;
mod volumes_from;
mod wait;

use std::sync::Arc;
use std::time::Duration;

pub use engine_store::files::PathStat;
pub use engine_store::{Change, ChangeKind};
use futures::stream::BoxStream;
pub use list::Listed;
use tokio::sync::oneshot;

pub(crate) use attach::{Forward, forward_input};
pub(crate) use core::Core;
pub(crate) use detach::DetachKeys;
pub(crate) use launch::exit_code_of;
pub(crate) use links::told as told_by_links;
pub(crate) use mounts::check_volume_name;
pub(crate) use registry::{Handle, Registry, Snapshot, count};
pub use security::default_capabilities;
pub(crate) use security::{capabilities, options as security_options};
pub(crate) use signals::parse as parse_signal;
pub(crate) use spec::environment;
pub use stats::Stats;
use task::StopReason;
pub(crate) use task::{Command, attributes_of};
pub use types::{
    AttachOptions, Commit, Container, CreateContainer, Created, ExtractArchive, Health,
    HealthStatus, ListContainers, LogOptions, MountPoint, Probe, State, Status, Top, WaitCondition,
    WaitResult,
};
pub(crate) use validate::ulimit as check_ulimit;

use crate::blocking::blocking;
use crate::error::{Error, Kind, Outcome, Result};
use crate::logs;
use crate::ports::TerminalSize;
use crate::streams::Output;

/// The grace period of a stop that names none.
const DEFAULT_GRACE_SECONDS: i64 = 10;

/// How long a killed container may take to end.
const DEATH_LIMIT: Duration = Duration::from_secs(12);

/// The service over all containers. A `reference` is a name (with or without a leading `/`), an id
/// or a unique prefix of one.
#[derive(Clone, Debug)]
pub struct Containers {
    core: Core,
    pruning: Arc<tokio::sync::Mutex<()>>,
}

impl Containers {
    pub fn inspect(&self, reference: &str) -> Result<Container> {
        Ok(self.core.registry.find(reference)?.look().container.clone())
    }

    /// Bytes written above the image, and bytes altogether.
    pub async fn size(&self, reference: &str) -> Result<(u64, u64)> {
        let snapshot = self.core.registry.find(reference)?.look();
        let (store, id) = (self.core.store.clone(), snapshot.container.id.clone());
        let written = blocking(move || store.container_size(&id)).await?;
        Ok((written, written + self.core.images.layers_size(&snapshot.layers)))
    }

    /// `detach_keys` belong to a client's attachment and change nothing here.
    pub async fn start(&self, reference: &str, detach_keys: &str) -> Result<Outcome> {
        DetachKeys::parse(detach_keys)?;
        let handle = self.core.registry.find(reference)?;
        ask(&handle, Command::Start).await
    }

    /// `timeout` in seconds, negative for ever; `None` takes the container's own, else 10.
    pub async fn stop(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<Outcome> {
        let handle = self.core.registry.find(reference)?;
        let stopped = stop(&handle, signal, timeout, StopReason::User).await;
        stopped.map_err(|error| error.within(&format!("cannot stop container: {reference}")))
    }

    pub async fn restart(
        &self,
        reference: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<()> {
        let handle = self.core.registry.find(reference)?;
        let restarted = async {
            stop(&handle, signal, timeout, StopReason::Restart).await?;
            ask(&handle, Command::Start).await
        };
        restarted.await.map_err(|error| {
            let text = format!("Cannot restart container {reference}: {}", error.with_causes());
            Error::new(Kind::Internal, text)
        })?;
        let snapshot = handle.look();
        let attributes = attributes_of(&snapshot.container);
        self.core.events.publish("container", "restart", &handle.id, attributes);
        Ok(())
    }

    /// `signal` as `KILL`, `SIGKILL` or `9`; empty is `KILL`, which returns when it has ended.
    pub async fn kill(&self, reference: &str, signal: &str) -> Result<()> {
        let killed = self.send_signal(reference, signal).await;
        killed.map_err(|error| error.within(&format!("cannot kill container: {reference}")))
    }

    async fn send_signal(&self, reference: &str, signal: &str) -> Result<()> {
        let signal = if signal.is_empty() { signals::KILL } else { signals::parse(signal)? };
        let handle = self.core.registry.find(reference)?;
        let exits = handle.look().exits;
        ask(&handle, |reply| Command::Kill { signal, reply }).await?;
        if signal != signals::KILL {
            return Ok(());
        }
        // Whoever kills it may remove it next.
        let mut snapshot = handle.snapshot.clone();
        let gone = snapshot.wait_for(|now| now.removed || now.exits > exits || !now.is_running());
        let in_time = tokio::time::timeout(DEATH_LIMIT, gone).await.is_ok();
        in_time.then_some(()).ok_or_else(|| {
            let text = "tried to kill container, but did not receive an exit event";
            Error::new(Kind::Internal, text)
        })
    }

    /// Stops its processes where they are.
    pub async fn pause(&self, reference: &str) -> Result<()> {
        ask(&self.core.registry.find(reference)?, Command::Pause).await
    }

    pub async fn unpause(&self, reference: &str) -> Result<()> {
        ask(&self.core.registry.find(reference)?, Command::Unpause).await
    }

    pub async fn remove(&self, reference: &str, force: bool, volumes: bool) -> Result<()> {
        let handle = self.core.registry.find(reference)?;
        if handle.look().container.state.status == Status::Removing {
            return Err(Error::conflict(format!(
                "removal of container {reference} is already in progress"
            )));
        }
        let removed = ask(&handle, |reply| Command::Remove { force, volumes, reply }).await;
        removed.map_err(|error| match error.kind() {
            // Somebody else was faster.
            Kind::NotFound => error,
            _ => error.within(&format!("cannot remove container {reference:?}")),
        })
    }

    pub async fn rename(&self, reference: &str, name: &str) -> Result<()> {
        let handle = self.core.registry.find(reference)?;
        let (old, new) = (handle.look().container.name.clone(), name.to_owned());
        ask(&handle, |reply| Command::Rename { name: new, reply }).await?;
        self.relink(&old, name.trim_start_matches('/')).await;
        Ok(())
    }

    pub async fn resize(&self, reference: &str, size: TerminalSize) -> Result<()> {
        let handle = self.core.registry.find(reference)?;
        let input = handle.hub.input().borrow().clone();
        match input {
            Some(input) if handle.look().is_running() => input.resize(size).await?,
            _ => return Err(not_running(&handle.id)),
        }
        let mut attributes = attributes_of(&handle.look().container);
        attributes.insert("height".to_owned(), size.rows.to_string());
        attributes.insert("width".to_owned(), size.columns.to_string());
        self.core.events.publish("container", "resize", &handle.id, attributes);
        Ok(())
    }

    /// Items carry their stream; the text already has timestamps and details if asked for. The
    /// flag tells whether the container has a terminal.
    pub async fn logs(
        &self,
        reference: &str,
        options: LogOptions,
    ) -> Result<(bool, BoxStream<'static, Result<Output>>)> {
        if !options.stdout && !options.stderr {
            return Err(Error::invalid("Bad parameters: you must choose at least one stream"));
        }
        let handle = self.core.registry.find(reference)?;
        let snapshot = handle.look();
        if matches!(snapshot.container.state.status, Status::Removing | Status::Dead) {
            return Err(Error::conflict(
                "can not get logs from container which is dead or marked for removal",
            ));
        }
        let Some(log) = handle.hub.log().cloned() else {
            return Err(Error::unimplemented("configured logging driver does not support reading"));
        };
        let lines = logs::read(handle.hub, log, self.core.clock.clone(), options).await?;
        Ok((snapshot.container.config.tty, lines))
    }
}

impl Containers {
    /// Stops all that run, at the same time; a restart policy still counts at the next open.
    pub(crate) async fn stop_all(&self, grace_seconds: i64) {
        let stops = self.core.registry.all().into_iter().map(|handle| async move {
            if let Err(error) = stop(&handle, None, Some(grace_seconds), StopReason::Shutdown).await {
                tracing::warn!(container = handle.id, reason = %error, "a container is not stopped");
            }
        });
        futures::future::join_all(stops).await;
    }

    pub(crate) fn cancel(&self) {
        self.core.stop.cancel();
    }

    /// Ends every task of the engine.
    pub(crate) async fn let_go(&self) {
        self.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }
}

/// Sends a command to a container's task and waits for its answer.
async fn ask<T>(
    handle: &Handle,
    command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    let gone = || Error::not_found(format!("No such container: {}", handle.id));
    handle.commands.send(command(reply)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

async fn stop(
    handle: &Handle,
    signal: Option<&str>,
    timeout: Option<i64>,
    why: StopReason,
) -> Result<Outcome> {
    let config = &handle.look().container.config;
    let own = config.stop_signal.as_deref();
    let signal = match signal.filter(|signal| !signal.is_empty()).or(own) {
        Some(signal) if !signal.is_empty() => signals::parse(signal)?,
        _ => signals::TERM,
    };
    let seconds = timeout.or(config.stop_timeout).unwrap_or(DEFAULT_GRACE_SECONDS);
    let grace = u64::try_from(seconds).ok().map(Duration::from_secs);
    ask(handle, |reply| Command::Stop { signal, grace, why, reply }).await
}

fn not_running(id: &str) -> Error {
    Error::new(Kind::Conflict, format!("container {id} is not running"))
}

#[cfg(test)]
mod tests;
