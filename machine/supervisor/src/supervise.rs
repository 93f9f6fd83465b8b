//! The supervisor process itself, from its first moment to its last.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use machine_lifecycle::driver::{DriverError, Started, Stop, VmSpec};
use machine_store::Lock;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::acceleration::acceleration;
use crate::adopt::boot_or_adopt;
use crate::attempt::Launched;
use crate::client::Client;
use crate::docker_socket::DockerSocket;
use crate::files::{self, DOCKER_SOCKET, LAST_BREATH, LOCK, SUPERVISOR_SOCKET};
use crate::journal::note;
use crate::owner::{Owner, Waiting, told_to_end};
use crate::protocol::{self, Report, system};
use crate::requests::{Demand, Done, Server, Snapshot, What};
use crate::state::State;
use crate::vm;

/// The body of the hidden command that [`crate::QemuDriver`] runs: reads a [`VmSpec`] from standard
/// input, reports on standard output, and returns when the machine has ended.
#[must_use]
pub fn supervise() -> ExitCode {
    // Who closes the terminal closes no machine. It fails only for a process that is apart already.
    rustix::process::setsid().ok();
    // Sockets and logs are this user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(format_args!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run());
    runtime.shutdown_background();
    code
}

async fn run() -> ExitCode {
    match boot_and_serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(format_args!("the machine was not started: {error}"));
            report(&Report::Failed { error: error.into() });
            ExitCode::FAILURE
        }
    }
}

/// Says something to the command that waits; if nobody does any more, the start is given up soon.
fn report(report: &Report) {
    if let Ok(line) = protocol::line(report) {
        let mut output = std::io::stdout().lock();
        output.write_all(&line).and_then(|()| output.flush()).ok();
    }
}

async fn boot_and_serve() -> Result<(), DriverError> {
    let input = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3)
        .map_err(std::io::Error::from)
        .and_then(pipe::Receiver::from_owned_fd)
        .map_err(system("standard input is not a pipe"))?;
    let mut input = BufReader::new(input);
    let spec: VmSpec = protocol::receive(&mut input)
        .await
        .map_err(system("cannot read what to start"))?
        .ok_or_else(|| DriverError::Failed("was not told what to start".to_owned()))?;

    let lock = lock(&spec)?;
    let mut terminate = signal(SignalKind::terminate()).ok();
    let (snapshot, observed) = watch::channel(Snapshot::new(State::Launching, None));
    let (sender, mut demands) = mpsc::channel(16);
    let listener =
        files::listen(SUPERVISOR_SOCKET).map_err(system("cannot listen for commands"))?;
    let server = Server::start(listener, observed, sender);

    let launched = Launched::default();
    let mut stop = None;
    let outcome = {
        let booting = boot_or_adopt(&spec, &report, &snapshot, &launched);
        tokio::pin!(booting);
        let given_up = tokio::select! {
            outcome = &mut booting => Err(outcome),
            () = closed(&mut input) => Ok("the command that waited for the start ended"),
            () = told_to_end(&mut terminate) => Ok("its supervisor was told to end"),
            asked = stop_asked(&mut demands) => {
                stop = Some(asked);
                Ok("the machine was stopped while it started")
            }
        };
        match given_up {
            Err(outcome) => outcome,
            // There is nothing any more that it could be started from instead.
            Ok(_) if launched.is_committed() => booting.await,
            Ok(reason) => Err(DriverError::Failed(reason.to_owned())),
        }
    };
    let booted = match outcome {
        Ok(booted) => booted,
        Err(error) => {
            launched.end().await;
            vanish(lock);
            tell(stop.into_iter().map(|(_, done)| (done, Ok(()))).collect(), demands, server).await;
            return Err(error);
        }
    };
    launched.keep();
    let started = Started {
        acceleration: acceleration(booted.vm.record.hardware.accelerator),
        timings: booted.timings,
    };
    report(&Report::Started { started });
    detach();
    drop(input);

    let _docker_socket = docker_socket(&spec);
    let mut owner = Owner::new(booted.vm, booted.sources, booted.forwards, snapshot, &spec);
    owner.identity = booted.identity;
    if let Some((how, done)) = stop {
        owner.to_end = Some(how);
        owner.waiting.push((done, Ok(())));
    }
    for message in booted.early {
        owner.obey(message).await;
    }
    let waiting = owner.serve(&mut demands, terminate).await;
    vanish(lock);
    tell(waiting, demands, server).await;
    Ok(())
}

/// Serves the API's plain socket; a machine without one is as good in everything else.
fn docker_socket(spec: &VmSpec) -> Option<DockerSocket> {
    let client = Client::open(spec).map_err(|error| error.to_string());
    let socket = client.and_then(|client| {
        DockerSocket::start(Arc::new(client)).map_err(|error| error.to_string())
    });
    socket.inspect_err(|error| note(format_args!("there is no {DOCKER_SOCKET}: {error}"))).ok()
}

/// Waits for somebody who wants the machine to end; all else has to wait until it has started.
async fn stop_asked(demands: &mut mpsc::Receiver<Demand>) -> (Stop, Done) {
    loop {
        match demands.recv().await {
            Some(Demand { what: What::Stop(how), done }) => return (how, done),
            Some(Demand { what: What::Order(_), done }) => {
                let refusal = DriverError::Failed("the machine is starting".to_owned());
                done.send(Err(refusal)).ok();
            }
            None => std::future::pending().await,
        }
    }
}

fn lock(spec: &VmSpec) -> Result<Lock, DriverError> {
    Lock::exclusive(Path::new(LOCK), LAST_BREATH).map_err(|error| match error {
        machine_store::Error::Locked { .. } => {
            DriverError::Busy { name: spec.machine.name.clone() }
        }
        other => DriverError::Failed(other.to_string()),
    })
}

/// Returns when the command at the other end of standard input is gone.
async fn closed(input: &mut BufReader<pipe::Receiver>) {
    let mut byte = [0];
    // Nothing more is ever said; whatever comes is ignored.
    while matches!(input.read(&mut byte).await, Ok(1)) {}
}

/// Lets go of the command: standard input and output lead elsewhere from now on.
fn detach() {
    let redirect = || -> std::io::Result<()> {
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        rustix::stdio::dup2_stdout(std::io::stderr().as_fd())?;
        Ok(())
    };
    if let Err(error) = redirect() {
        note(format_args!("standard input and output are still the command's: {error}"));
    }
}

/// Removes every trace but the logs and gives up the lock.
fn vanish(lock: Lock) {
    vm::sweep(Path::new("."));
    std::fs::remove_file(SUPERVISOR_SOCKET).ok();
    drop(lock);
}

/// Tells who has waited for the end, and who has just asked for it. It comes last: who hears that
/// a machine has ended may start it the next moment.
async fn tell(waiting: Waiting, demands: mpsc::Receiver<Demand>, server: Server) {
    for (waiting, result) in waiting {
        waiting.send(result).ok();
    }
    drop(demands);
    server.finish().await;
}
