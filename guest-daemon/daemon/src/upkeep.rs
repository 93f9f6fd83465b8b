//! What the daemon does beside serving: the guest agent's port, and the data disk's size and
//! free blocks.

use std::time::Duration;

use boot::AGENT_PORT;
use guest_agent::{GuestSystem, Port};
use guest_init::client::InitClient;
use guest_init::disk;

/// How often the host is told which blocks are free.
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// Starts all of it in the background.
pub(crate) fn start(init: InitClient) {
    tokio::spawn(serve_agent(init));
    tokio::spawn(look_after_disk());
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
        Ok(Ok(Some(bytes))) => tracing::info!(bytes, "the data disk has grown"),
        Ok(Ok(None)) => {}
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
