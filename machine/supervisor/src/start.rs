//! From a stopped machine to a booted one: checks what can be checked before QEMU runs, then tries
//! one accelerator after the other.

use std::io;
use std::path::Path;

use boot::Protocol;
use machine_lifecycle::driver::{Acceleration, DriverError, VmSpec};
use machine_qemu::probe::{self, Found, ProbeError};
use machine_qemu::spec::{Accelerator, Architecture};
use tokio::sync::watch;

use crate::acceleration::{System, plan, title};
use crate::attempt::{Attempt, Booted, Launched, Setback};
use crate::client::Client;
use crate::console;
use crate::forward::bind;
use crate::host_facts::{HostFacts, circumstances};
use crate::protocol::Report;
use crate::protocol::system;
use crate::requests::Snapshot;
use crate::state::State;

/// Tells the command that waits.
pub(crate) type Tell<'a> = &'a (dyn Fn(&Report) + Sync);

/// Boots the machine, or lets it go on from a saved state. Whatever comes of it, the caller ends
/// what is in `launched`. Each phase has the time that `spec` gives.
pub(crate) async fn start(
    spec: &VmSpec,
    tell: Tell<'_>,
    snapshot: &watch::Sender<Snapshot>,
    launched: &Launched,
) -> Result<Booted, DriverError> {
    let booting = boot(spec, tell, snapshot, launched);
    tokio::pin!(booting);
    let mut seen = snapshot.subscribe();
    loop {
        let phase = seen.borrow_and_update().state.phase();
        tokio::select! {
            outcome = &mut booting => return outcome,
            Ok(_) = seen.wait_for(|snapshot| snapshot.state.phase() != phase) => {}
            () = tokio::time::sleep(spec.timeout) => {
                if !launched.is_committed() {
                    let console = console::last_lines(Path::new("."));
                    let seconds = spec.timeout.as_secs();
                    return Err(DriverError::Timeout { phase: phase.to_owned(), seconds, console });
                }
            }
        }
    }
}

async fn boot(
    spec: &VmSpec,
    tell: Tell<'_>,
    snapshot: &watch::Sender<Snapshot>,
    launched: &Launched,
) -> Result<Booted, DriverError> {
    let mut facts = HostFacts::read(&spec.host_facts);
    let qemu = find_qemu(&mut facts).await?;
    let client = Client::open(spec).map_err(|error| DriverError::Failed(error.to_string()))?;
    let attempt = Attempt { spec, qemu: &qemu, client: &client, snapshot, launched, tell };
    if let Some(state) = &spec.resume_from {
        check(spec)?;
        return attempt.resume(state).await;
    }
    let circumstances = circumstances(&qemu);
    let known = |accelerator| facts.unusable(accelerator, &circumstances).is_some();
    let plan = plan(spec.acceleration, System::of_host(), known)?;
    check(spec)?;
    let warn = |text: String| tell(&Report::Warning { text });
    if let Some(warning) = plan.warning {
        warn(warning.to_owned());
    }
    let mut failed: Option<(Accelerator, String)> = None;
    let mut candidates = plan.candidates.iter().copied().peekable();
    while let Some(accelerator) = candidates.next() {
        match attempt.boot(accelerator).await {
            Ok(booted) => {
                // Only now is it certain that it was the accelerator's fault.
                if let Some((accelerator, reason)) = failed {
                    facts.set_unusable(accelerator, &circumstances, &reason);
                }
                return Ok(booted);
            }
            Err(Setback::Accelerator(reason)) if candidates.peek().is_some() => {
                launched.end().await;
                snapshot.send_replace(Snapshot::new(State::Launching, None));
                let name = title(accelerator);
                warn(format!(
                    "{name} is present but cannot run a guest here ({reason}); \
                     using plain emulation, which is slower"
                ));
                failed = Some((accelerator, reason));
            }
            Err(Setback::Accelerator(reason)) => {
                return Err(unusable(accelerator, reason));
            }
            Err(Setback::Final(error)) => return Err(error),
        }
    }
    Err(unusable(spec_accelerator(spec.acceleration), "nothing is left to try".to_owned()))
}

fn unusable(accelerator: Accelerator, reason: String) -> DriverError {
    DriverError::AccelerationUnusable { wanted: title(accelerator).to_owned(), reason }
}

fn spec_accelerator(acceleration: Acceleration) -> Accelerator {
    match acceleration {
        Acceleration::Kvm => Accelerator::Kvm,
        Acceleration::Hvf => Accelerator::Hvf,
        Acceleration::Auto | Acceleration::Tcg => Accelerator::Tcg,
    }
}

async fn find_qemu(facts: &mut HostFacts) -> Result<Found, DriverError> {
    let found = match probe::locate(Architecture::HOST) {
        Ok(program) => facts.qemu(&program).await,
        Err(error) => Err(error),
    };
    found.map_err(missing)
}

/// Why this host's QEMU cannot be used.
pub(crate) fn missing(error: ProbeError) -> DriverError {
    match error {
        ProbeError::Missing { program } => DriverError::QemuMissing { program },
        ProbeError::TooOld { found } => {
            DriverError::QemuTooOld { found: found.to_string(), needed: probe::OLDEST.to_string() }
        }
        ProbeError::NoVersion { .. } => DriverError::Failed(error.to_string()),
        ProbeError::NotRunnable { program, source } => {
            system(format!("cannot run {program}"))(source)
        }
    }
}

/// What QEMU would complain about in words nobody understands.
fn check(spec: &VmSpec) -> Result<(), DriverError> {
    for port in [spec.api_port, spec.ssh_port] {
        bind(Protocol::Tcp, port).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => DriverError::PortTaken { port },
            _ => system(format!("cannot listen on port {port} of 127.0.0.1"))(error),
        })?;
    }
    machine_qemu::disk::virtual_size(&spec.disk)
        .map_err(|error| DriverError::Failed(format!("{}: {error}", spec.disk.display())))?;
    for file in [&spec.kernel, &spec.initramfs, &spec.boot_contract] {
        std::fs::File::open(file).map_err(system(format!("cannot read {}", file.display())))?;
    }
    Ok(())
}
