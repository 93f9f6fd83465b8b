//! Takes over a machine that runs although its supervisor is gone, or ends it and boots.

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use machine_lifecycle::driver::{DriverError, VmSpec};
use machine_qemu::agent::Agent;
use machine_qemu::qmp::{Qmp, RunState};
use tokio::sync::watch;

use crate::attempt::{Booted, HERE, Launched};
use crate::client::Client;
use crate::clock::{self, Because};
use crate::forward::Forwards;
use crate::journal::note;
use crate::operations::load_identity;
use crate::requests::Snapshot;
use crate::resume::{identity, sync_directory, while_listening};
use crate::start::{Tell, start};
use crate::state::State;
use crate::vm::{self, Record};
use crate::{ending, files};

/// A machine that is up: the one that is, or else one that is started.
pub(crate) async fn boot_or_adopt(
    spec: &VmSpec,
    tell: Tell<'_>,
    snapshot: &watch::Sender<Snapshot>,
    launched: &Launched,
) -> Result<Booted, DriverError> {
    let here = Path::new(HERE);
    files::sweep_partial(here);
    if let Some(stream) = vm::stray(here) {
        note("a QEMU that nobody knows is ended");
        vm::end_stray(stream).await?;
    }
    if let Some(record) = Record::of_a_living_vm(here) {
        if record.proved
            && !record.is_saved()
            && let Some(adopted) = adopt(spec, record.clone(), snapshot).await
        {
            return Ok(adopted);
        }
        note("a QEMU without a supervisor is ended");
        ending::kill(&record.qemu).await?;
    }
    files::sweep(here);
    start(spec, tell, snapshot, launched).await
}

/// Takes over a machine that is up although its supervisor is gone; if its API answers.
async fn adopt(
    spec: &VmSpec,
    record: Record,
    snapshot: &watch::Sender<Snapshot>,
) -> Option<Booted> {
    let adopted = tokio::time::timeout(spec.timeout, take_over(spec, record)).await;
    match adopted.unwrap_or_else(|_| Err("its API does not answer".into())) {
        Ok(booted) => {
            note("a machine without a supervisor was taken over");
            let vm = Some(Arc::clone(&booted.vm));
            snapshot.send_replace(Snapshot::new(State::Running, vm));
            Some(booted)
        }
        Err(reason) => {
            note(format_args!("a machine without a supervisor cannot be taken over: {reason}"));
            None
        }
    }
}

async fn take_over(spec: &VmSpec, record: Record) -> Result<Booted, Box<dyn Error>> {
    let here = Path::new(HERE);
    let (qmp, events, mut agent) = vm::reach(here).await?;
    wake(spec, &qmp, &mut agent).await?;
    let (vm, mut sources) = vm::adopt(here, record, (qmp, events, agent))?;
    vm.greet().await;
    let mut early = VecDeque::new();
    let identity = identity(spec);
    if let Some(tls) = identity.clone() {
        let loading = load_identity(&vm, tls);
        if let Err(reason) = while_listening(&vm, &mut sources, &mut early, loading).await {
            note(format_args!("the guest keeps its earlier certificate: {reason}"));
        }
    }
    Client::open(spec)?.ping().await?;
    let own = [spec.api_port, spec.ssh_port];
    let forwards = Forwards::recover(&vm.qmp, own).await?;
    Ok(Booted { vm, sources, early, forwards, identity, timings: Vec::new() })
}

/// Lets a machine go on that stands still: it was paused, or its supervisor was saving it.
async fn wake(spec: &VmSpec, qmp: &Qmp, agent: &mut Agent) -> Result<(), Box<dyn Error>> {
    qmp.cancel_save().await?;
    if qmp.status().await? == RunState::running {
        return Ok(());
    }
    if let Some(state) = &spec.resume_from {
        // It no longer fits the disk of a machine that goes on without it.
        remove_if_there(state)?;
    }
    qmp.resume().await?;
    clock::set(agent, Because::Jumped).await;
    Ok(())
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => sync_directory(path),
    }
}
