//! The files of one log, shared by whoever writes and whoever reads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::read::LogReader;
use super::tail::Tail;
use crate::error::{Result, StoreError};

/// The newest file has the log's name, older ones `.1`, `.2`, …, perhaps compressed (`.1.gz`).
///
/// **Invariant:** a generation names one file for as long as it exists: whoever looks for one
/// cannot meet a rotation half-way.
#[derive(Debug)]
pub struct LogFiles {
    path: PathBuf,
    newest: RwLock<u64>,
}

/// The generation of the newest file when a log is opened: there is room for those before it.
const FIRST: u64 = 1 << 32;

impl LogFiles {
    pub fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, newest: RwLock::new(FIRST) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn newest(&self) -> u64 {
        *self.newest.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation of the oldest file that may be there.
    pub fn oldest(&self) -> Result<u64> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        Ok(newest.saturating_sub(u64::from(highest_number(&self.path)?)))
    }

    /// The length of the newest file as far as its entries are whole, 0 without one; what a crash
    /// cut short is removed.
    pub fn length(self: &Arc<Self>) -> Result<u64> {
        if !self.path.exists() {
            return Ok(0);
        }
        let writer = super::LogWriter::open(Arc::clone(self), super::Rotation::default())?;
        Ok(writer.length())
    }

    /// Opens a generation's file; `None` when it is gone.
    pub fn open(&self, generation: u64, position: u64) -> Result<Option<LogReader>> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let Some(plain) = self.place(*newest, generation) else { return Ok(None) };
        match LogReader::open(&plain, position)? {
            Some(reader) => Ok(Some(reader)),
            None => LogReader::open_compressed(&compressed(&plain), position),
        }
    }

    /// Where the last `count` entries begin: a generation and a position in it.
    pub fn tail(&self, count: usize) -> Result<(u64, u64)> {
        let (oldest, mut generation) = (self.oldest()?, self.newest());
        let mut wanted = count;
        loop {
            let (position, found) = match self.open_tail(generation)? {
                Some(tail) => tail.position(wanted)?,
                None => (0, 0),
            };
            wanted -= found.min(wanted);
            if wanted == 0 || generation <= oldest {
                return Ok((generation, position));
            }
            generation -= 1;
        }
    }

    fn open_tail(&self, generation: u64) -> Result<Option<Tail>> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let Some(plain) = self.place(*newest, generation) else { return Ok(None) };
        Tail::open(&plain, &compressed(&plain))
    }

    /// Carries out a rotation while nobody opens a file.
    pub(super) fn rotate<T>(&self, rename: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let result = rename()?;
        *newest += 1;
        Ok(result)
    }

    fn place(&self, newest: u64, generation: u64) -> Option<PathBuf> {
        let number = u32::try_from(newest.checked_sub(generation)?).ok()?;
        Some(numbered(&self.path, number))
    }
}

/// The place of an older file.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

pub(super) fn compressed(plain: &Path) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// A crash in the middle of a rotation leaves a gap, so they are not counted up.
fn highest_number(path: &Path) -> Result<u32> {
    let doing = || format!("list the files of log {}", path.display());
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(0) };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(StoreError::Io { doing: doing(), source }),
    };
    let numbers = entries.filter_map(std::result::Result::ok).filter_map(|entry| {
        let other = entry.file_name();
        let rest = other.to_str()?.strip_prefix(name.to_str()?)?.strip_prefix('.')?;
        rest.strip_suffix(".gz").unwrap_or(rest).parse::<u32>().ok()
    });
    Ok(numbers.max().unwrap_or(0))
}
