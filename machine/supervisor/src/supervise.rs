//! The supervisor process itself, from its first moment to its last.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use machine_lifecycle::driver::{DriverError, Started, VmSpec};
use machine_store::Lock;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use crate::acceleration::acceleration;
use crate::boot_attempt::{Booted, Launched};
use crate::files::{self, LOCK, SUPERVISOR_SOCKET};
use crate::forward::Forwards;
use crate::journal::note;
use crate::owner::{Owner, Waiting};
use crate::protocol::{self, Report, system};
use crate::requests::{self, Server, Snapshot, StopRequest};
use crate::start::{identity, start};
use crate::state::State;
use crate::vm::{self, Record};

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
    let (snapshot, observed) = watch::channel(Snapshot { state: State::Launching, vm: None });
    let (stops_sender, mut stops) = mpsc::channel(16);
    let listener = requests::listen().map_err(system("cannot listen for commands"))?;
    let server = Server::start(listener, observed, stops_sender);

    let launched = Launched::default();
    let mut aborted_by = None;
    let outcome = tokio::select! {
        outcome = boot_or_adopt(&spec, &snapshot, &launched) => outcome,
        () = closed(&mut input) => {
            Err(DriverError::Failed("the command that waited for the start ended".to_owned()))
        }
        Some(request) = stops.recv() => {
            aborted_by = Some(request);
            Err(DriverError::Failed("the machine was stopped while it started".to_owned()))
        }
    };
    let (booted, forwards) = match outcome {
        Ok(booted) => booted,
        Err(error) => {
            launched.end().await;
            vanish(lock);
            tell(aborted_by.into_iter().map(|request| request.done).collect(), stops, server).await;
            return Err(error);
        }
    };
    launched.keep();
    let started = Started {
        acceleration: acceleration(booted.vm.record.accelerator),
        timings: booted.timings,
    };
    report(&Report::Started { started });
    detach();
    drop(input);

    let mut owner = Owner { vm: booted.vm, sources: booted.sources, forwards, snapshot, stops };
    for message in booted.early {
        owner.obey(message).await;
    }
    let (waiting, stops) = owner.serve().await;
    vanish(lock);
    tell(waiting, stops, server).await;
    Ok(())
}

async fn boot_or_adopt(
    spec: &VmSpec,
    snapshot: &watch::Sender<Snapshot>,
    launched: &Launched,
) -> Result<(Booted, Forwards), DriverError> {
    let here = Path::new(".");
    if let Some(record) = Record::of_a_living_vm(here) {
        if record.proved
            && let Some(adopted) = adopt(spec, record.clone(), snapshot).await
        {
            return Ok(adopted);
        }
        note("a QEMU without a supervisor is ended");
        crate::ending::kill(&record.qemu).await?;
    }
    files::sweep(here);
    let booted = start(spec, &report, snapshot, launched).await?;
    Ok((booted, Forwards::default()))
}

/// Takes over a machine that is up although its supervisor is gone; if its API answers.
async fn adopt(
    spec: &VmSpec,
    record: Record,
    snapshot: &watch::Sender<Snapshot>,
) -> Option<(Booted, Forwards)> {
    let tried = async {
        let (vm, sources) = vm::adopt(Path::new("."), record).await.map_err(|e| e.to_string())?;
        let identity = identity(spec).map_err(|e| e.to_string())?;
        let asked = tokio::time::timeout(spec.timeout, identity.ping(spec.api_port)).await;
        asked.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let own = [spec.api_port, spec.ssh_port];
        let forwards = Forwards::recover(&vm.qmp, own).await.map_err(|e| e.to_string())?;
        Ok::<_, String>((vm, sources, forwards))
    };
    match tried.await {
        Ok((vm, sources, forwards)) => {
            note("a machine without a supervisor was taken over");
            snapshot.send_replace(Snapshot { state: State::Running, vm: Some(Arc::clone(&vm)) });
            let booted = Booted { vm, sources, early: [].into(), timings: Vec::new() };
            Some((booted, forwards))
        }
        Err(reason) => {
            note(format_args!("a machine without a supervisor cannot be taken over: {reason}"));
            None
        }
    }
}

fn lock(spec: &VmSpec) -> Result<Lock, DriverError> {
    Lock::try_exclusive(Path::new(LOCK)).map_err(|error| match error {
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
    files::sweep(Path::new("."));
    std::fs::remove_file(SUPERVISOR_SOCKET).ok();
    drop(lock);
}

/// Tells who has waited for the end, and who has just asked for it. It comes last: who hears that
/// a machine has ended may start it the next moment.
async fn tell(waiting: Waiting, stops: mpsc::Receiver<StopRequest>, server: Server) {
    for waiting in waiting {
        waiting.send(Ok(())).ok();
    }
    drop(stops);
    server.finish().await;
}
