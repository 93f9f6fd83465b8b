//! Lets a guest go on from a saved state.
//!
//! ```text
//!   header fits ─► QEMU waits ─► file ─zstd─► QEMU ─► forwards ─┬─► the file goes, cont ─► clock,
//!                                                               │   identity, API
//!            on an error: QEMU ends, the file is still there ───┘─── on an error: it runs anyway
//! ```

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use boot::{BootContract, GuestMessage, TlsIdentity};
use machine_lifecycle::driver::{DriverError, VmSpec};
use machine_qemu::qmp::{Qmp, QmpError, Reboot};
use machine_qemu::spec::MachineType;
use tokio::time::Instant;

use crate::acceleration::{System, is_present, title};
use crate::attempt::{Attempt, Board, Booted, HERE, Setback, Waiting, complete, refused};
use crate::clock::{self, Because};
use crate::files::{PARTIAL, STATE_SOCKET};
use crate::forward::Forwards;
use crate::operations::{grow, load_identity};
use crate::protocol::system;
use crate::saved_state::{SavedState, Side};
use crate::state::Happening;
use crate::vm::{Record, Sources, Streams, Vm, ended};

impl Attempt<'_> {
    pub(crate) async fn resume(&self, state: &Path) -> Result<Booted, DriverError> {
        self.step("starting QEMU");
        let began = Instant::now();
        let saved = SavedState::open(state).map_err(mismatch)?;
        let was = &saved.header.hardware;
        let accelerator = was.accelerator;
        if !is_present(accelerator, System::of_host()) {
            return Err(mismatch(format!("it needs {}", title(accelerator))));
        }
        let board = Board { accelerator, machine: was.machine, incoming: true };
        if let Some(reason) = was.mismatch(&self.hardware(board)?) {
            return Err(mismatch(reason));
        }
        let wanted = saved.header.forwards.clone();
        let Waiting { record, streams, mut exit } =
            self.launch(board).await.map_err(|setback| match setback {
                Setback::Final(error) => error,
                Setback::Accelerator(reason) => {
                    mismatch(format!("{} does not work: {reason}", title(accelerator)))
                }
            })?;
        let launched = Instant::now();

        self.step("reading the saved state");
        self.happens(Happening::Loading);
        let Streams { qmp, events, control, mut agent } = streams;
        match load(&qmp, saved).await {
            Ok(()) => {}
            Err(Unloadable::Damaged(error)) => {
                return Err(mismatch(format!("the file is damaged: {error}")));
            }
            // If it does not fit QEMU says so and ends.
            Err(Unloadable::Qemu(QmpError::Closed)) => {
                let reason = ended(&mut exit).await;
                return Err(mismatch(format!("QEMU does not take it, {}", complete(&reason))));
            }
            Err(Unloadable::Qemu(error)) => return Err(refused(&error)),
        }
        let loaded = Instant::now();
        let mut forwards = Forwards::default();
        for forward in &wanted {
            if let Err(reason) = forwards.publish(&qmp, forward).await {
                self.warn(format!("port {} is not published: {reason}", forward.host_port));
            }
        }

        let record = Record { proved: true, ..record };
        record.write(Path::new(HERE)).map_err(system("cannot write down the running machine"))?;
        let obsolete = self.let_go_on(&qmp, &record, state).await?;
        self.happens(Happening::Resumed);
        clock::set(&mut agent, Because::Jumped).await;
        let streams = Streams { qmp, events, control, agent };
        let (vm, mut sources) = Vm::new(record, streams, exit);
        vm.greet().await;
        std::fs::remove_file(obsolete).ok();

        let mut early = VecDeque::new();
        let identity = self.reach(&vm, &mut sources, &mut early).await;
        let answered = Instant::now();
        self.snapshot.send_modify(|snapshot| snapshot.vm = Some(vm.clone()));
        self.happens(Happening::Answered);
        let timings =
            [("qemu", launched - began), ("state", loaded - launched), ("api", answered - loaded)];
        let timings = timings.map(|(name, duration)| (name.to_owned(), duration)).into();
        Ok(Booted { vm, sources, early, forwards, identity, timings })
    }

    /// The point of no return: from here on the state in the file does not fit the disk. Answers
    /// with the name that the file has now.
    async fn let_go_on(
        &self,
        qmp: &Qmp,
        record: &Record,
        state: &Path,
    ) -> Result<PathBuf, DriverError> {
        let obsolete = beside(state);
        let rename =
            |from: &Path, to: &Path| std::fs::rename(from, to).and_then(|()| sync_directory(state));
        rename(state, &obsolete).map_err(system(format!("cannot remove {}", state.display())))?;
        self.launched.commit();
        if let Err(error) = qmp.resume().await {
            rename(&obsolete, state).ok();
            self.launched.revoke(record.qemu.clone());
            return Err(refused(&error));
        }
        Ok(obsolete)
    }

    /// Gives the guest what has changed while it was away. It runs, and the only other place to go
    /// on from is gone, so nothing that fails here ends it.
    async fn reach(
        &self,
        vm: &Arc<Vm>,
        sources: &mut Sources,
        early: &mut VecDeque<GuestMessage>,
    ) -> Option<TlsIdentity> {
        if vm.record.hardware.machine != MachineType::Microvm
            && let Err(error) = vm.qmp.set_reboot(Reboot::Restarts).await
        {
            self.warn(format!("a guest that panics will not restart: {error}"));
        }
        let identity = identity(self.spec);
        let asked = while_listening(vm, sources, early, async {
            match identity.clone() {
                Some(tls) => load_identity(vm, tls).await,
                None => Ok(()),
            }
        });
        if let Err(reason) = asked.await {
            self.warn(format!("the guest keeps its earlier certificate: {reason}"));
        }
        let bound = self.spec.timeout;
        match tokio::time::timeout(bound, self.prove(&mut sources.exit)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.warn(format!("the machine goes on, but {error}")),
            Err(_) => self.warn(format!(
                "the machine goes on, but its API has not answered for {} s",
                bound.as_secs()
            )),
        }
        let size = machine_qemu::disk::virtual_size(&self.spec.disk).unwrap_or(u64::MAX);
        if size < self.spec.disk_size_mib * 1024 * 1024 {
            let grown = grow(vm, &self.spec.disk, self.spec.disk_size_mib);
            if let Err(error) = while_listening(vm, sources, early, grown).await {
                self.warn(format!("the disk was not grown: {error}"));
            }
        }
        identity
    }
}

fn mismatch(reason: String) -> DriverError {
    DriverError::StateMismatch { reason }
}

/// The API's identity as the machine's files have it now.
pub(crate) fn identity(spec: &VmSpec) -> Option<TlsIdentity> {
    let contract = std::fs::read(&spec.boot_contract).ok()?;
    Some(serde_json::from_slice::<BootContract>(&contract).ok()?.tls)
}

enum Unloadable {
    Damaged(io::Error),
    Qemu(QmpError),
}

async fn load(qmp: &Qmp, saved: SavedState) -> Result<(), Unloadable> {
    let loading = qmp.load(STATE_SOCKET).await.map_err(Unloadable::Qemu)?;
    // QEMU listens, so this does not wait.
    let stream = std::os::unix::net::UnixStream::connect(STATE_SOCKET)
        .map_err(|error| Unloadable::Qemu(error.into()))?;
    let feeding = tokio::task::spawn_blocking(move || saved.feed(stream, &AtomicU64::new(0)));
    match feeding.await {
        Ok(Ok(())) => {}
        Ok(Err((Side::From, error))) => return Err(Unloadable::Damaged(error)),
        // QEMU has closed it, and is about to end.
        Ok(Err((Side::To, _))) => {}
        Err(error) => return Err(Unloadable::Damaged(io::Error::other(error))),
    }
    let loaded = loading.finished().await.map_err(Unloadable::Qemu);
    std::fs::remove_file(STATE_SOCKET).ok();
    loaded
}

/// A name that a sweep takes, in the same directory.
fn beside(state: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(PARTIAL);
    name.push(state.file_name().unwrap_or_default());
    state.with_file_name(name)
}

pub(crate) fn sync_directory(of: &Path) -> io::Result<()> {
    let directory = of.parent().unwrap_or(Path::new(HERE));
    std::fs::File::open(directory)?.sync_all()
}

/// Waits for something while nobody else hears what the guest says.
pub(crate) async fn while_listening<T>(
    vm: &Vm,
    sources: &mut Sources,
    early: &mut VecDeque<GuestMessage>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(message) = sources.guest.recv() => match message {
                GuestMessage::IdentityLoaded { id, result } => vm.answered(id, result),
                GuestMessage::DiskGrown { id, result } => vm.answered(id, result.map(drop)),
                other => early.push_back(other),
            },
        }
    }
}
