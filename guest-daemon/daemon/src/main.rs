//! The guest's one program. By how it is started it is init, the container starter or the daemon.

mod console;
mod control;
mod engine;
mod host_ports;
mod listeners;
mod serve;
mod tls;
mod upkeep;

use std::process::ExitCode;

use anyhow::Context as _;
use guest_init::client::InitClient;
use guest_init::handover;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let started = handover::monotonic_micros();
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(role) if role == "runtime" => engine_runtime::role_main(args),
        _ if std::process::id() == 1 => guest_init::run(),
        _ => daemon(started),
    }
}

#[tokio::main]
async fn daemon(started: u64) -> ExitCode {
    console::log_to_stderr();
    match run(started).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(because = format!("{error:#}"), "the daemon cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// Configure, build, serve, drain.
async fn run(started: u64) -> anyhow::Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let handover = handover::read().context("the boot contract is not there")?;
    let init = InitClient::connect().context("init does not listen")?;
    let listeners = listeners::Listeners::open(&init).await?;
    let acceptor = tls::acceptor(&handover.contract.tls)?;
    tokio::spawn(guest_ssh::Server::new(&handover.contract.ssh)?.serve(listeners.ssh));

    let control = control::Control::start();
    let engine = engine::open(&handover.contract, init.clone(), control.clone()).await?;
    let server = engine::server(engine.clone());
    tokio::spawn(serve::tls(listeners.api, acceptor, server.clone()));
    tokio::spawn(serve::unix(listeners.local, server));
    control.announce(&handover, started, engine.clone()).await;
    upkeep::start(init);
    stop.recv().await;
    engine::drain(&engine).await;
    Ok(())
}
