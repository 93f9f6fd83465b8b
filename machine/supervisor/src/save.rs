//! Writes a VM's memory and disk to files, while it stands still.
//!
//! What is written has a name that a sweep takes until it is complete. Whatever fails, or if the one
//! who waits for it goes away, the VM is afterwards as it was before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boot::Forward;
use machine_lifecycle::driver::{DriverError, Stop};
use machine_qemu::qmp::{QmpError, RunState};
use machine_store::DiskCopy;
use tempfile::TempPath;
use tokio::task::spawn_blocking;

use crate::attempt::{HERE, refused};
use crate::ending;
use crate::files::{self, PARTIAL, STATE_SOCKET};
use crate::forward;
use crate::journal::note;
use crate::protocol::system;
use crate::resume::sync_directory;
use crate::saved_state::{self, Header};
use crate::vm::{Record, Vm};

/// QEMU connects at once.
const CONNECT_BOUND: Duration = Duration::from_secs(10);
/// A QEMU that has sent nothing for so long hangs.
const STALL_BOUND: Duration = Duration::from_secs(60);
const CANCEL_BOUND: Duration = Duration::from_secs(10);

/// What is to be saved.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) vm: Arc<Vm>,
    pub(crate) disk: PathBuf,
    /// The machine's own ports, which no container has published.
    pub(crate) own_ports: [u16; 2],
}

impl Job {
    /// Writes the memory to `state` and ends the VM, unless it is `taken_back` before.
    pub(crate) async fn suspend(
        &self,
        state: &Path,
        taken_back: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        sweep_beside(state);
        // What a running VM has left there no longer fits its disk.
        remove(state)?;
        let ran = self.halt().await?;
        let saved = tokio::select! {
            biased;
            saved = self.save_memory(state) => saved,
            () = taken_back => Err(interrupted()),
        };
        if let Err(error) = saved.and_then(|memory| self.commit(memory, state)) {
            self.go_on(ran).await?;
            return Err(error);
        }
        // All there is to lose is in the file and on the disk, so this need not be gentle.
        ending::end(self.vm.clone(), Stop::Kill).await
    }

    /// Copies the memory, if that is wanted, and the disk, and lets the VM go on.
    pub(crate) async fn snapshot(
        &self,
        state: Option<&Path>,
        disk: &Path,
        taken_back: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        for target in state.into_iter().chain([disk]) {
            sweep_beside(target);
            if target.exists() {
                return Err(DriverError::Failed(format!("{} is there", target.display())));
            }
        }
        let ran = self.halt().await?;
        let copies = async {
            let memory = match state {
                Some(state) => Some((self.save_memory(state).await?, state)),
                None => None,
            };
            Ok((memory, copy_disk(&self.disk, disk).await?))
        };
        let copied = tokio::select! {
            biased;
            copied = copies => copied,
            () = taken_back => Err(interrupted()),
        };
        self.go_on(ran).await?;
        let (memory, copy) = copied?;
        let memory = memory.map(|(memory, state)| persist(memory, state).map(|()| state));
        let memory = memory.transpose()?;
        persist(copy, disk).inspect_err(|_| {
            if let Some(state) = memory {
                std::fs::remove_file(state).ok();
            }
        })
    }

    /// Lets the vCPUs stand still; true if they ran.
    async fn halt(&self) -> Result<bool, DriverError> {
        let qmp = &self.vm.qmp;
        let ran = match qmp.status().await.map_err(|error| refused(&error))? {
            RunState::running => true,
            RunState::paused => false,
            status => {
                return Err(DriverError::Failed(format!("its guest cannot go on ({status:?})")));
            }
        };
        // A disk that stands still is complete in its file.
        qmp.stop().await.map_err(|error| refused(&error))?;
        Ok(ran)
    }

    /// Makes the VM what it was before.
    async fn go_on(&self, ran: bool) -> Result<(), DriverError> {
        let qmp = &self.vm.qmp;
        let undone = async {
            // Normally there is nothing to cancel any more.
            tokio::time::timeout(CANCEL_BOUND, qmp.cancel_save())
                .await
                .map_err(|_| QmpError::Silent)??;
            if ran {
                qmp.resume().await
            } else if qmp.status().await? == RunState::postmigrate {
                // QEMU has given up its disks and takes them back only to run; both commands are
                // sent at once, so it runs for less than a millisecond.
                let (resumed, stopped) = tokio::join!(qmp.resume(), qmp.stop());
                resumed.and(stopped)
            } else {
                Ok(())
            }
        };
        undone.await.map_err(|error: QmpError| {
            DriverError::Failed(format!("the machine does not go on: {error}"))
        })
    }

    async fn save_memory(&self, state: &Path) -> Result<TempPath, DriverError> {
        let qmp = &self.vm.qmp;
        let writing = || system(format!("cannot write {}", state.display()));
        let header = Header::new(self.vm.record.hardware.clone(), self.forwards().await?);
        let file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(directory(state));
        let (file, path) = file.map_err(writing())?.into_parts();

        let listener = files::listen(STATE_SOCKET).map_err(system("cannot use a socket"))?;
        let saving = qmp.save(STATE_SOCKET).await.map_err(|error| refused(&error))?;
        let accepted = tokio::time::timeout(CONNECT_BOUND, listener.accept()).await;
        std::fs::remove_file(STATE_SOCKET).ok();
        let stream = accepted
            .unwrap_or_else(|elapsed| Err(elapsed.into()))
            .and_then(|(stream, _)| stream.into_std())
            .and_then(|stream| stream.set_nonblocking(false).map(|()| stream))
            .map_err(system("QEMU does not send its memory"))?;
        let hang_up = stream.try_clone().map_err(system("cannot use a socket"))?;
        let progress = Arc::new(AtomicU64::new(0));
        let counted = progress.clone();
        let written = spawn_blocking(move || saved_state::write(&header, &file, stream, &counted));
        // When one side fails it closes the stream, and so ends the other one.
        let saved = async {
            let saved = unless_stalled(saving.finished(), &progress).await;
            saved.inspect_err(|_| drop(hang_up.shutdown(std::net::Shutdown::Both)))
        };
        let (saved, written) = tokio::join!(saved, written);
        written.map_err(std::io::Error::other).flatten().map_err(writing())?;
        saved?;
        Ok(path)
    }

    async fn forwards(&self) -> Result<Vec<Forward>, DriverError> {
        forward::published(&self.vm.qmp, self.own_ports).await.map_err(|error| refused(&error))
    }

    /// From here on the state is what the machine goes on from. If whoever does this is killed in
    /// the middle, the next one sees by the record and the file how far it was.
    fn commit(&self, memory: TempPath, state: &Path) -> Result<(), DriverError> {
        let here = Path::new(HERE);
        let record = Record { saved_to: Some(state.to_owned()), ..self.vm.record.clone() };
        let recorded = record.write(here).map_err(system("cannot write down what is saved"));
        recorded.and_then(|()| persist(memory, state)).inspect_err(|_| {
            if let Err(error) = self.vm.record.write(here) {
                note(format_args!("the record is not as before: {error}"));
            }
        })
    }
}

/// Waits for QEMU as long as it gets on.
async fn unless_stalled(
    work: impl Future<Output = Result<(), QmpError>>,
    progress: &AtomicU64,
) -> Result<(), DriverError> {
    tokio::pin!(work);
    let mut seen = 0;
    loop {
        match tokio::time::timeout(STALL_BOUND, &mut work).await {
            Ok(done) => return done.map_err(|error| refused(&error)),
            Err(_) => {
                let now = progress.load(Ordering::Relaxed);
                if now == seen {
                    return Err(DriverError::Failed("QEMU does not send its memory".to_owned()));
                }
                seen = now;
            }
        }
    }
}

async fn copy_disk(from: &Path, to: &Path) -> Result<TempPath, DriverError> {
    let failed = || system(format!("cannot copy {}", from.display()));
    let (source, folder) = (from.to_owned(), directory(to).to_owned());
    let begun = spawn_blocking(move || {
        tempfile::Builder::new().prefix(PARTIAL).make_in(folder, |path| {
            // Somebody may have the name: then another one is tried.
            if path.exists() {
                return Err(std::io::ErrorKind::AlreadyExists.into());
            }
            DiskCopy::begin(&source, path).map_err(std::io::Error::other)
        })
    });
    let begun = begun.await.map_err(std::io::Error::other).flatten().map_err(failed())?;
    let (mut copy, path) = begun.into_parts();
    loop {
        let step = spawn_blocking(move || copy.step().map(|complete| (copy, complete)));
        let step = step.await.map_err(std::io::Error::other);
        let complete;
        (copy, complete) =
            step.and_then(|step| step.map_err(std::io::Error::other)).map_err(failed())?;
        if complete {
            return Ok(path);
        }
    }
}

fn persist(complete: TempPath, path: &Path) -> Result<(), DriverError> {
    let failed = || system(format!("cannot write {}", path.display()));
    complete.persist_noclobber(path).map_err(|error| failed()(error.error))?;
    sync_directory(path).map_err(failed()).inspect_err(|_| {
        std::fs::remove_file(path).ok();
    })
}

fn remove(path: &Path) -> Result<(), DriverError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(system(format!("cannot remove {}", path.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sweep_beside(path: &Path) {
    files::sweep_partial(directory(path));
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(HERE))
}

fn interrupted() -> DriverError {
    DriverError::Failed("it was interrupted".to_owned())
}
