//! The guest's one program. By how it is started it is init, the container starter, the daemon, or
//! the init of a container.

mod console;
mod control;
mod duties;
mod engine;
mod host_ports;
mod listeners;
mod serve;
mod settings;
mod tls;
mod upkeep;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use guest_init::client::InitClient;
use guest_init::handover::{self, Handover};
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::Chosen;

fn main() -> ExitCode {
    let started = handover::monotonic_micros();
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    match args.next() {
        _ if engine_runtime::is_container_init(&name) => engine_runtime::container_init(args),
        Some(role) if role == "runtime" => engine_runtime::role_main(args),
        // A container can run this program as its first process, through /proc/self/exe.
        _ if std::process::id() == 1 && name == "/init" => guest_init::run(),
        _ => daemon(started),
    }
}

#[tokio::main]
async fn daemon(started: u64) -> ExitCode {
    let handover = handover::read().context("the boot contract is not there");
    let chosen = handover.as_ref().map(choose).unwrap_or_default();
    console::log_to_stderr(chosen.level);
    for warning in &chosen.settings.warnings {
        tracing::warn!("{warning}");
    }
    let ran = match handover {
        Ok(handover) => run(started, handover, chosen).await,
        Err(error) => Err(error),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(because = format!("{error:#}"), "the daemon cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn choose(handover: &Handover) -> Chosen {
    settings::choose(&handover.contract.engine, |name| std::env::var(name).ok())
}

/// Configure, build, serve, drain.
async fn run(started: u64, handover: Handover, chosen: Chosen) -> anyhow::Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let init = InitClient::connect().context("init does not listen")?;
    let listeners = listeners::Listeners::open(&init).await?;
    let identity = Arc::new(tls::Identity::new(&handover.contract.tls)?);
    tokio::spawn(guest_ssh::Server::new(&handover.contract.ssh)?.serve(listeners.ssh));

    let control = control::Control::start(Arc::new(duties::Guest::new(identity.clone())));
    let machine = &handover.contract;
    let runtime = engine::runtime(init.clone());
    let engine = engine::open(machine, &chosen, runtime.clone(), control.clone()).await?;
    let server = engine::server(engine.clone());
    tokio::spawn(serve::tls(listeners.api, identity, server.clone()));
    tokio::spawn(serve::unix(listeners.local, server));
    control.announce(&handover, started, engine.clone()).await;
    upkeep::start(init, engine.clone());
    runtime.warm_up();
    stop.recv().await;
    engine::drain(&engine, chosen.grace_seconds).await;
    Ok(())
}
