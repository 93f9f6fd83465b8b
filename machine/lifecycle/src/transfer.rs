//! A machine as one file, to be moved to another place.
//!
//! What is exported has neither keys nor paths nor ports. What is imported may come from anybody:
//! nothing in it is believed before it was checked, and nothing of it is left when it is refused.

mod archive;
mod manifest;
mod qcow2;

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use machine_store::{Lock, MachineRecord};
use rustix::fs::{FlockOperation, flock};

use crate::driver::Progress;
use crate::{Error, MachineName, Machines, State, identity};
use archive::{Reader, Writer};
use manifest::Manifest;

pub use archive::Malformed;
pub use qcow2::UnfitDisk;

/// How files are called that are being written.
const SUFFIX: &str = ".exporting";

/// Where an exported machine goes.
pub enum Destination<'a> {
    /// A file that is not there yet.
    New(&'a Path),
    /// A file, whether it is there or not. It is replaced when all is written.
    Replace(&'a Path),
    Stream(&'a mut dyn Write),
}

/// Why a machine could not be exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("the file is not an exported machine")]
    Malformed(#[from] Malformed),
    #[error("the file was written by a newer version of this program (format {0})")]
    Newer(u32),
    #[error("the machine in the file is not possible")]
    Machine(#[source] crate::InvalidSpec),
    #[error("the machine's disk cannot be used")]
    Disk(#[from] UnfitDisk),
}

impl TransferError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed(_) => {
                Some("import a whole file that `machine export` has written".to_owned())
            }
            Self::Newer(_) => Some("install the newer version".to_owned()),
            Self::Machine(_) | Self::Disk(_) => None,
        }
    }
}

/// A copy of a disk that goes when it is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left is removed by the next export.
        let _left = std::fs::remove_file(&self.0);
    }
}

impl Machines {
    /// Writes a machine as one file (tar, zstd), without keys and without paths. A running
    /// machine's disk is taken as it is at one moment.
    pub async fn export(
        &self,
        name: &MachineName,
        to: Destination<'_>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let lock = self.lock_complete(name)?;
        let record = self.own_record(name, "exported")?;
        if let Destination::New(path) = to
            && path.symlink_metadata().is_ok()
        {
            return Err(Error::FileExists { path: path.to_owned() });
        }
        let (path, replace) = match to {
            Destination::New(path) => (path, false),
            Destination::Replace(path) => (path, true),
            Destination::Stream(stream) => {
                let place = Path::new("the stream");
                return self.write(&lock, name, &record, stream, place, progress).await;
            }
        };
        let io = |source| write_error(path, source);
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let prefix = format!(".{name}-");
        sweep(directory, &prefix);
        let mut file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(SUFFIX)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(directory)
            .map_err(io)?;
        flock(file.as_file(), FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| io(error.into()))?;
        self.write(&lock, name, &record, file.as_file_mut(), path, progress).await?;
        file.as_file().sync_all().map_err(io)?;
        let kept = if replace { file.persist(path) } else { file.persist_noclobber(path) };
        kept.map_err(|error| io(error.error))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)
    }

    async fn write(
        &self,
        _lock: &Lock,
        name: &MachineName,
        record: &MachineRecord,
        output: &mut dyn Write,
        place: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let paths = self.store.paths(name.as_str());
        let state = self.state(name).await?;
        let mut disk = paths.disk();
        let mut copy = None;
        match state {
            State::Stopped => {}
            State::Saved => progress.warning(
                "it is suspended: its disk is written, not its memory; what is imported starts \
                 as after a power cut",
            ),
            State::Running | State::Paused => {
                progress.step("Copying the disk...");
                disk = paths.directory().join(".exporting.qcow2");
                let temporary = Temporary(disk.clone());
                drop(std::fs::remove_file(&disk));
                self.copy_disk(name, state, &disk, progress).await?;
                copy = Some(temporary);
            }
            state => return Err(Error::NotRunning { name: name.clone(), state }),
        }
        if !self.store.snapshots(name.as_str())?.is_empty() {
            progress.warning("snapshots are not written");
        }
        progress.step("Writing the machine...");
        let read = |source| {
            Error::Store(machine_store::Error::Io { action: "read", path: disk.clone(), source })
        };
        let mut file = File::open(&disk).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        qcow2::check(&head(&mut file).map_err(read)?).map_err(TransferError::from)?;
        let manifest = serde_json::to_vec(&Manifest::new(name, record))?;
        let io = |source| write_error(place, source);
        let mut writer = Writer::new(output).map_err(io)?;
        writer.manifest(&manifest).map_err(io)?;
        writer.begin_disk(length).map_err(io)?;
        // Somebody may not want it any more, hence the pauses.
        while writer.disk(&mut file).map_err(io)? {
            tokio::task::yield_now().await;
        }
        drop(copy);
        writer.finish().map_err(io)
    }

    /// Makes a stopped machine of what [`Self::export`] wrote, with new keys; called as it was, or
    /// `name`.
    pub async fn import(
        &self,
        from: &mut dyn Read,
        name: Option<&MachineName>,
        progress: &dyn Progress,
    ) -> Result<MachineName, Error> {
        let malformed = |error: Malformed| Error::from(TransferError::from(error));
        let mut archive = Reader::new(from).map_err(malformed)?;
        let manifest = Manifest::read(&archive.manifest().map_err(malformed)?)?;
        let name = match name {
            Some(name) => name.clone(),
            None => manifest.name()?,
        };
        let lock = self.vacant(&name).await?;
        progress.step(&format!("Importing \"{name}\"..."));
        let imported = self.import_locked(&lock, &name, &manifest, &mut archive, progress).await;
        if imported.is_err() && !self.exists(&name) {
            lock.remove();
        }
        imported.map(|()| name)
    }

    async fn import_locked(
        &self,
        lock: &Lock,
        name: &MachineName,
        manifest: &Manifest,
        archive: &mut Reader<'_>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let capacity = (self.capacity)(&self.store);
        let (mut spec, warnings) = manifest.spec(&capacity)?;
        warnings.iter().for_each(|warning| progress.warning(warning));
        let now = (self.clock)();
        let draft = self.store.begin(lock, name.as_str())?;
        let issuer = identity::authority(&self.store, now)?;
        identity::write_new(&draft, name, &spec.tls_names, &issuer, now)?;

        let path = draft.paths().disk();
        let malformed = |error: Malformed| match error {
            Malformed::Write(source) => write_error(&path, source),
            other => TransferError::from(other).into(),
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| write_error(&path, source))?;
        let mut disk = archive.disk(qcow2::longest_file(spec.disk_size_mib)).map_err(malformed)?;
        let virtual_mib = qcow2::check(disk.head()).map_err(TransferError::from)?.div_ceil(1 << 20);
        while disk.step(&file).map_err(malformed)? {
            tokio::task::yield_now().await;
        }
        archive.end().map_err(malformed)?;
        file.sync_all().map_err(|source| write_error(&path, source))?;

        // A disk is never made smaller.
        spec.disk_size_mib = spec.disk_size_mib.max(virtual_mib);
        manifest::check(&spec)?;
        draft.describe(|ports| spec.to_record(ports))?;
        Ok(draft.commit()?.finish()?)
    }
}

/// Removes what killed exports have left; what is being written is locked.
fn sweep(directory: &Path, prefix: &str) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX));
        if is_ours
            && let Ok(file) = File::open(entry.path())
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            // What stays is in nobody's way.
            let _left = std::fs::remove_file(entry.path());
        }
    }
}

fn head(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(qcow2::HEAD).read_to_end(&mut head)?;
    std::io::Seek::rewind(file)?;
    Ok(head)
}

fn write_error(path: &Path, source: std::io::Error) -> Error {
    machine_store::Error::Io { action: "write", path: path.to_owned(), source }.into()
}

impl std::fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New(path) => f.debug_tuple("New").field(path).finish(),
            Self::Replace(path) => f.debug_tuple("Replace").field(path).finish(),
            Self::Stream(_) => f.debug_tuple("Stream").finish_non_exhaustive(),
        }
    }
}
