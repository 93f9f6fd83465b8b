//! What must survive a killed daemon between reading a container's output and logging it.
//!
//! A chunk goes `peek → mark → append → consume → clear`. The mark lies in memory (the run root)
//! in two slots that are written in turn, so that a mark cut short leaves the one before it.
//!
//! **Invariant:** whatever the moment of death, [`PumpMark::recover`] tells whether the chunk in
//! flight is in the log, and the partial lines of both streams are as the log needs them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Result, StoreError};

const SLOT: u64 = 64 * 1024;
const MAGIC: u32 = 0x504d_0001;
const HEADER: usize = 72;

/// Between two chunks: what was read but is not a whole line yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PumpState {
    /// Standard output and error; each shorter than 16 KiB.
    pub partial: [Vec<u8>; 2],
}

/// A chunk in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    pub stderr: bool,
    pub length: u64,
    /// Tells whether the pipe still shows it.
    pub digest: [u8; 16],
    /// The log before it.
    pub log_offset: u64,
    /// What it adds to the log.
    pub log_length: u64,
}

/// The file of one container's marks.
#[derive(Debug)]
pub struct PumpMark {
    file: File,
    sequence: u64,
}

/// What a mark file says after a death.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    pub state: PumpState,
    /// Set when the log must be cut back to this length: its chunk will be seen again.
    pub truncate: Option<u64>,
    /// Set when this chunk is in the log already and may or may not be seen again.
    pub logged: Option<Chunk>,
}

impl Chunk {
    pub fn new(stderr: bool, data: &[u8], log_offset: u64, log_length: u64) -> Self {
        Self {
            stderr,
            length: data.len() as u64,
            digest: short_digest(data),
            log_offset,
            log_length,
        }
    }

    /// How many of the bytes that the pipe shows are this chunk, seen again.
    pub fn repeated_in(&self, data: &[u8]) -> usize {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        match data.get(..length) {
            Some(start) if short_digest(start) == self.digest => length,
            _ => 0,
        }
    }
}

impl PumpMark {
    /// Begins afresh, for a container that starts.
    pub fn create(path: &Path) -> Result<Self> {
        let mut mark = Self { file: open_file(path, true)?, sequence: 0 };
        mark.write(&PumpState::default(), None)?;
        Ok(mark)
    }

    /// Reads what an earlier daemon left; `log_length` is the log's length now.
    pub fn recover(path: &Path, log_length: u64) -> Result<(Self, Recovery)> {
        let file = open_file(path, false)?;
        let mut slots: Vec<_> =
            [0, 1].into_iter().filter_map(|slot| read_slot(&file, slot)).collect();
        slots.sort_by_key(|slot| slot.0);
        let Some((sequence, state, chunk)) = slots.pop() else {
            return Ok((Self { file, sequence: 0 }, Recovery::default()));
        };
        let recovery = match chunk {
            None => Recovery { state, ..Recovery::default() },
            Some(chunk) if log_length >= chunk.log_offset + chunk.log_length => {
                Recovery { state, truncate: None, logged: Some(chunk) }
            }
            // Not (wholly) appended, so not consumed: as if it had never been looked at.
            Some(chunk) => Recovery {
                state: slots.pop().map(|slot| slot.1).unwrap_or_default(),
                truncate: Some(chunk.log_offset),
                logged: None,
            },
        };
        Ok((Self { file, sequence }, recovery))
    }

    /// Marks a chunk as about to be logged, with the state after it.
    pub fn begin(&mut self, after: &PumpState, chunk: &Chunk) -> Result<()> {
        self.write(after, Some(chunk))
    }

    /// Marks it as logged and consumed.
    pub fn clear(&mut self, state: &PumpState) -> Result<()> {
        self.write(state, None)
    }

    /// Nothing is in flight and nothing ever will be.
    pub fn remove(self, path: &Path) {
        drop(self.file);
        // One that stays is begun afresh at the next start.
        drop(std::fs::remove_file(path));
    }

    fn write(&mut self, state: &PumpState, chunk: Option<&Chunk>) -> Result<()> {
        self.sequence += 1;
        let bytes = encode(self.sequence, state, chunk);
        self.file
            .write_all_at(&bytes, (self.sequence % 2) * SLOT)
            .map_err(StoreError::io("mark a log"))
    }
}

fn open_file(path: &Path, truncate: bool) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(truncate)
        .mode(0o600)
        .open(path)
        .map_err(StoreError::io(format!("open {}", path.display())))
}

fn encode(sequence: u64, state: &PumpState, chunk: Option<&Chunk>) -> Vec<u8> {
    let blank = Chunk::default();
    let (kind, chunk) = match chunk {
        None => (0_u8, &blank),
        Some(chunk) => (if chunk.stderr { 2 } else { 1 }, chunk),
    };
    let [out, err] = &state.partial;
    let mut bytes = Vec::with_capacity(HEADER + 16 + out.len() + err.len());
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&u32::from(kind).to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    for number in [chunk.length, chunk.log_offset, chunk.log_length] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&chunk.digest);
    for part in [out, err] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    bytes.extend_from_slice(out);
    bytes.extend_from_slice(err);
    let check = short_digest(&bytes);
    bytes.extend_from_slice(&check);
    bytes
}

fn read_slot(file: &File, slot: u64) -> Option<(u64, PumpState, Option<Chunk>)> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, slot * SLOT).ok()?;
    let number = |at: usize| -> Option<u64> {
        Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?))
    };
    let (out, err) = (number(56)?, number(64)?);
    let content = out.checked_add(err)?;
    if content > SLOT - HEADER as u64 - 16 {
        return None;
    }
    let length = HEADER + usize::try_from(content).ok()?;
    let mut bytes = vec![0; length + 16];
    file.read_exact_at(&mut bytes, slot * SLOT).ok()?;
    let (content, check) = bytes.split_at(length);
    if short_digest(content) != check || content[..4] != MAGIC.to_le_bytes() {
        return None;
    }
    let middle = HEADER + usize::try_from(out).ok()?;
    let state =
        PumpState { partial: [content[HEADER..middle].to_vec(), content[middle..].to_vec()] };
    let chunk = Chunk {
        stderr: header[4] == 2,
        length: number(16)?,
        log_offset: number(24)?,
        log_length: number(32)?,
        digest: header[40..56].try_into().ok()?,
    };
    Some((number(8)?, state, (header[4] != 0).then_some(chunk)))
}

fn short_digest(data: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(data)[..16]);
    short
}

#[cfg(test)]
mod tests;
