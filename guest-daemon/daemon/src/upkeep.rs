//! What the daemon does beside serving: the guest agent's port, the data disk's size and free
//! blocks, memory that nobody needs.

use std::sync::Arc;
use std::time::Duration;

use boot::AGENT_PORT;
use engine::Engine;
use guest_agent::{GuestSystem, Port};
use guest_init::client::InitClient;
use guest_init::disk;

/// How often the host is told about all free blocks, beside those that become free: it may have
/// missed some.
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// How long nothing may happen before the memory that holds copies of files is given back.
const IDLE: Duration = Duration::from_secs(30);
/// `1` here drops unused copies of files from memory.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Starts all of it in the background.
pub(crate) fn start(init: InitClient, engine: Arc<Engine>) {
    tokio::spawn(serve_agent(init));
    tokio::spawn(look_after_disk());
    tokio::spawn(give_memory_back(engine));
}

async fn serve_agent(init: InitClient) {
    let served = async {
        let port = Port::open(AGENT_PORT).await?;
        guest_agent::serve(port, GuestSystem::new(init)).await
    };
    if let Err(error) = served.await {
        tracing::warn!(%error, "the guest agent is not served");
    }
}

async fn look_after_disk() {
    // A job that panics is as good as one that fails: it has been logged.
    match tokio::task::spawn_blocking(disk::grow).await {
        Ok(Ok(grown)) if grown.changed => {
            tracing::info!(bytes = grown.bytes, "the data disk has grown");
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the data disk does not grow"),
        Err(error) => tracing::warn!(%error, "the data disk does not grow"),
    }
    let mut hours = tokio::time::interval(TRIM_EVERY);
    hours.tick().await;
    loop {
        hours.tick().await;
        match tokio::task::spawn_blocking(disk::trim).await {
            Ok(Ok(bytes)) => tracing::debug!(bytes, "free blocks were given back"),
            Ok(Err(error)) => {
                tracing::info!(%error, "free blocks are not given back");
                return;
            }
            Err(error) => tracing::warn!(%error, "free blocks were not given back"),
        }
    }
}

/// Pages that hold copies of files are free for the guest, but not for the host. While containers
/// run they are left alone: they make them fast.
async fn give_memory_back(engine: Arc<Engine>) {
    let mut happenings = engine.events.count();
    while happenings.changed().await.is_ok() {
        while tokio::time::timeout(IDLE, happenings.changed()).await.is_ok() {}
        let is_idle = engine.system.info().is_ok_and(|info| info.running == 0 && info.paused == 0);
        if !is_idle {
            continue;
        }
        match tokio::task::spawn_blocking(drop_caches).await {
            Ok(Ok(())) => tracing::debug!("unused memory was given back"),
            Ok(Err(error)) => tracing::warn!(%error, "unused memory is not given back"),
            Err(error) => tracing::warn!(%error, "unused memory is not given back"),
        }
    }
}

/// What is not on the disk yet would stay in memory.
fn drop_caches() -> std::io::Result<()> {
    disk::sync()?;
    std::fs::write(DROP_CACHES, "1")
}
