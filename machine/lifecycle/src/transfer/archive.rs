//! The file's form: two entries of a tar archive, compressed with zstd.
//!
//! Of tar only the plain headers are read: no links, no directories, no extensions, and never a
//! path, because the only two names there may be are known.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;

use tar::{EntryType, Header};
use zstd::{Decoder, Encoder};

use super::qcow2::HEAD;

const MANIFEST: &str = "manifest.json";
const DISK: &str = "disk.qcow2";
const LONGEST_MANIFEST: u64 = 64 * 1024;

/// What is read or written between two pauses.
const STEP: usize = 1 << 20;
/// Zeros of this length become holes.
const BLOCK: usize = 64 * 1024;
const TAR_BLOCK: u64 = 512;
/// Compression of disks: better ones take much longer for little.
const LEVEL: i32 = 3;
/// No file of ours needs more memory (2^n bytes) to be unpacked.
const WINDOW_LOG: u32 = 27;
/// Zeros after the end of the archive; some programs fill up to a record.
const LONGEST_TAIL: u64 = 1 << 20;

/// Why a file is not an exported machine.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("it cannot be read, is damaged, or ends too early")]
    Read(#[source] io::Error),
    /// The file is good, but its content could not be written.
    #[error("the disk could not be written")]
    Write(#[source] io::Error),
    #[error("it has no {0} where one should be")]
    Missing(&'static str),
    #[error("its {name} is too long: {length} bytes")]
    Length { name: &'static str, length: u64 },
    #[error("it has more in it than a machine")]
    More,
    #[error("its manifest cannot be read")]
    Manifest(#[source] serde_json::Error),
    #[error("it is of another kind")]
    Format,
}

/// Writes the archive.
pub(super) struct Writer<'a> {
    output: Encoder<'static, &'a mut dyn Write>,
    /// What is missing of the disk.
    left: u64,
    padding: u64,
    buffer: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: &'a mut dyn Write) -> io::Result<Self> {
        let mut output = Encoder::new(output, LEVEL)?;
        output.include_checksum(true)?;
        Ok(Self { output, left: 0, padding: 0, buffer: vec![0; STEP] })
    }

    pub(super) fn manifest(&mut self, json: &[u8]) -> io::Result<()> {
        let length = json.len() as u64;
        self.output.write_all(header(MANIFEST, length)?.as_bytes())?;
        self.output.write_all(json)?;
        self.pad(padding(length))
    }

    pub(super) fn begin_disk(&mut self, length: u64) -> io::Result<()> {
        self.output.write_all(header(DISK, length)?.as_bytes())?;
        (self.left, self.padding) = (length, padding(length));
        Ok(())
    }

    /// Writes a little of the disk; `false` when that was all.
    pub(super) fn disk(&mut self, from: &mut File) -> io::Result<bool> {
        let wanted = usize::try_from(self.left).unwrap_or(STEP).min(STEP);
        let Some(part) = self.buffer.get_mut(..wanted) else { return Ok(false) };
        from.read_exact(part)?;
        self.output.write_all(part)?;
        self.left -= wanted as u64;
        Ok(self.left > 0)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.pad(self.padding + 2 * TAR_BLOCK)?;
        self.output.finish()?.flush()
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(length), &mut self.output).map(drop)
    }
}

fn header(name: &str, length: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length);
    header.set_cksum();
    Ok(header)
}

fn padding(length: u64) -> u64 {
    length.next_multiple_of(TAR_BLOCK) - length
}

/// Reads an archive that somebody wrote, from its beginning to its end.
pub(super) struct Reader<'a> {
    input: Decoder<'static, io::BufReader<&'a mut dyn Read>>,
    buffer: Vec<u8>,
}

/// A disk that is being read.
pub(super) struct Disk<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// The first bytes, which were looked at already.
    head: Vec<u8>,
    length: u64,
    position: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Result<Self, Malformed> {
        let mut input = Decoder::new(input).map_err(Malformed::Read)?;
        input.window_log_max(WINDOW_LOG).map_err(Malformed::Read)?;
        Ok(Self { input, buffer: vec![0; STEP] })
    }

    pub(super) fn manifest(&mut self) -> Result<Vec<u8>, Malformed> {
        let length = self.entry(MANIFEST, LONGEST_MANIFEST)?;
        let mut json = vec![0; usize::try_from(length).unwrap_or_default()];
        self.input.read_exact(&mut json).map_err(Malformed::Read)?;
        self.skip_padding(length)?;
        Ok(json)
    }

    /// Begins with a disk whose file is not longer than `longest`.
    pub(super) fn disk(&mut self, longest: u64) -> Result<Disk<'_, 'a>, Malformed> {
        let length = self.entry(DISK, longest)?;
        let mut head = Vec::new();
        let wanted = HEAD.min(length);
        let read = (&mut self.input).take(wanted).read_to_end(&mut head);
        if (read.map_err(Malformed::Read)? as u64) < wanted {
            return Err(Malformed::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Disk { reader: self, head, length, position: 0 })
    }

    /// There is nothing more, and all of it was as it was written.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        let mut tail = Vec::new();
        let read = (&mut self.input).take(LONGEST_TAIL + 1).read_to_end(&mut tail);
        let length = read.map_err(Malformed::Read)? as u64;
        if length > LONGEST_TAIL || tail.iter().any(|byte| *byte != 0) {
            return Err(Malformed::More);
        }
        if length < 2 * TAR_BLOCK {
            return Err(Malformed::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// The length of the next entry, which must be this one and a plain file.
    fn entry(&mut self, name: &'static str, longest: u64) -> Result<u64, Malformed> {
        let mut header = Header::new_old();
        self.input.read_exact(header.as_mut_bytes()).map_err(Malformed::Read)?;
        let mut sound = header.clone();
        sound.set_cksum();
        if header.cksum().ok() != sound.cksum().ok()
            || header.entry_type() != EntryType::Regular
            || *header.path_bytes() != *name.as_bytes()
        {
            return Err(Malformed::Missing(name));
        }
        match header.entry_size() {
            Ok(length) if length <= longest => Ok(length),
            Ok(length) => Err(Malformed::Length { name, length }),
            Err(_) => Err(Malformed::Missing(name)),
        }
    }

    fn skip_padding(&mut self, length: u64) -> Result<(), Malformed> {
        let wanted = padding(length);
        let skipped = io::copy(&mut (&mut self.input).take(wanted), &mut io::sink());
        if skipped.map_err(Malformed::Read)? < wanted {
            return Err(Malformed::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }
}

impl Disk<'_, '_> {
    /// The first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Writes a little more of it to a new file, zeros as holes; `false` when that was all.
    pub(super) fn step(&mut self, to: &File) -> Result<bool, Malformed> {
        let wanted = usize::try_from(self.length - self.position).unwrap_or(STEP).min(STEP);
        let known = std::mem::take(&mut self.head);
        let Some(part) = self.reader.buffer.get_mut(..wanted) else { return Ok(false) };
        let (begin, rest) = part.split_at_mut(known.len());
        begin.copy_from_slice(&known);
        self.reader.input.read_exact(rest).map_err(Malformed::Read)?;
        for block in part.chunks(BLOCK) {
            if block.iter().any(|byte| *byte != 0) {
                to.write_all_at(block, self.position).map_err(Malformed::Write)?;
            }
            self.position += block.len() as u64;
        }
        if self.position < self.length {
            return Ok(true);
        }
        to.set_len(self.length).map_err(Malformed::Write)?;
        self.reader.skip_padding(self.length)?;
        Ok(false)
    }
}
