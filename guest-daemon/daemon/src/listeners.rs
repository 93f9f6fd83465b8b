//! The sockets on which the daemon is reached. Init keeps copies, so that clients that come
//! while a daemon is being started again wait instead of being refused.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use boot::{API_PORT, SSH_PORT};
use guest_init::client::InitClient;
use tokio::net::{TcpListener, UnixListener};

/// Their names among what init keeps.
const API: &str = "listener/api";
const SSH: &str = "listener/ssh";
const LOCAL: &str = "listener/local";

const LOCAL_PATH: &str = "/var/run/docker.sock";
/// The group of those who may use the engine from within the guest.
const DOCKER_GROUP: u32 = 999;

/// All of them, listening.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) api: TcpListener,
    pub(crate) local: UnixListener,
    pub(crate) ssh: TcpListener,
}

impl Listeners {
    /// Takes over those of an earlier daemon, or opens them.
    pub(crate) async fn open(init: &InitClient) -> anyhow::Result<Self> {
        let mut kept: HashMap<String, OwnedFd> =
            init.list().await.context("init does not tell what it keeps")?.into_iter().collect();
        Ok(Listeners {
            api: tcp(init, kept.remove(API), API, API_PORT).await?,
            ssh: tcp(init, kept.remove(SSH), SSH, SSH_PORT).await?,
            local: unix(init, kept.remove(LOCAL), LOCAL)?,
        })
    }
}

async fn tcp(
    init: &InitClient,
    kept: Option<OwnedFd>,
    name: &'static str,
    port: u16,
) -> anyhow::Result<TcpListener> {
    if let Some(kept) = kept {
        let listener = std::net::TcpListener::from(kept);
        listener.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(listener)?);
    }
    let listener = TcpListener::bind(("0.0.0.0", port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    keep(init, name, listener.as_fd().try_clone_to_owned()?);
    Ok(listener)
}

fn unix(
    init: &InitClient,
    kept: Option<OwnedFd>,
    name: &'static str,
) -> anyhow::Result<UnixListener> {
    if let Some(kept) = kept {
        let listener = std::os::unix::net::UnixListener::from(kept);
        listener.set_nonblocking(true)?;
        return Ok(UnixListener::from_std(listener)?);
    }
    let listener = listen_locally(Path::new(LOCAL_PATH), DOCKER_GROUP)
        .with_context(|| format!("cannot listen on {LOCAL_PATH}"))?;
    keep(init, name, listener.as_fd().try_clone_to_owned()?);
    Ok(listener)
}

/// Gives init a copy, in the background: nobody is to wait for it.
fn keep(init: &InitClient, name: &'static str, listener: OwnedFd) {
    let init = init.clone();
    tokio::spawn(async move {
        if let Err(error) = init.store(name, listener.as_fd()).await {
            tracing::warn!(name, %error, "this listener will not outlive the daemon");
        }
    });
}

/// Only root may connect until the file has its mode: it begins without write permission for
/// anybody else.
fn listen_locally(path: &Path, group: u32) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::os::unix::fs::chown(path, None, Some(group))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
