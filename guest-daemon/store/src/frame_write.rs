//! Writing a layer's frame while its tar is unpacked: what goes by is kept, unless it is the
//! content of a file that is being written into the layer.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flate2::Crc;

use crate::frame::{BYTES, END, FILE, MARK, WINDOW_LOG, put_number};

/// Bytes that are given to the compression, or to a part, at a time.
const BATCH: usize = 64 * 1024;
/// It is mostly headers that are alike: more work would make it a little smaller.
const LEVEL: i32 = 1;

/// A frame on its way to the disk.
pub(crate) struct FrameWriter {
    state: RefCell<State>,
}

struct State {
    out: zstd::Encoder<'static, Box<dyn Write>>,
    /// Parts that are not compressed yet.
    parts: Vec<u8>,
    /// Bytes of the tar for the next part.
    bytes: Vec<u8>,
    /// The file whose content goes by.
    file: Option<Passing>,
    /// Bytes of the tar so far.
    total: u64,
}

struct Passing {
    size: u64,
    left: u64,
    checksum: Crc,
}

impl FrameWriter {
    pub(crate) fn new(out: impl Write + 'static) -> io::Result<Self> {
        let out: Box<dyn Write> = Box::new(out);
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.window_log(WINDOW_LOG)?;
        let (parts, bytes) = (MARK.to_vec(), Vec::new());
        Ok(Self { state: RefCell::new(State { out, parts, bytes, file: None, total: 0 }) })
    }

    /// The same stream, which is written down as it is read.
    pub(crate) fn watch<R: Read>(&self, tar: R) -> Watched<'_, R> {
        Watched { tar, frame: self }
    }

    /// The next `size` bytes are the content of a file that is being written into the layer.
    pub(crate) fn begin_file(&self, size: u64) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.end_bytes()?;
        state.file = Some(Passing { size, left: size, checksum: Crc::new() });
        Ok(())
    }

    /// That content has gone by, and is in the layer under this path and inode.
    pub(crate) fn end_file(&self, path: &Path, inode: u64) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let Some(Passing { size, left: 0, checksum }) = state.file.take() else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("unexpected EOF in {}", path.display()),
            ));
        };
        let parts = &mut state.parts;
        parts.push(FILE);
        put_number(parts, size);
        parts.extend(checksum.sum().to_le_bytes());
        put_number(parts, inode);
        put_number(parts, path.as_os_str().len() as u64);
        parts.extend(path.as_os_str().as_bytes());
        state.compress(BATCH)
    }

    /// Writes the rest; returns how many bytes the tar has.
    pub(crate) fn finish(self) -> io::Result<u64> {
        let mut state = self.state.into_inner();
        state.end_bytes()?;
        state.parts.push(END);
        state.compress(0)?;
        state.out.finish()?.flush()?;
        Ok(state.total)
    }
}

impl State {
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.total += bytes.len() as u64;
        if let Some(file) = &mut self.file {
            let of_file = usize::try_from(file.left).unwrap_or(usize::MAX).min(bytes.len());
            file.checksum.update(&bytes[..of_file]);
            file.left -= of_file as u64;
            bytes = &bytes[of_file..];
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() < BATCH { Ok(()) } else { self.end_bytes() }
    }

    fn end_bytes(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.parts.push(BYTES);
        put_number(&mut self.parts, self.bytes.len() as u64);
        self.parts.append(&mut self.bytes);
        self.compress(BATCH)
    }

    /// Compresses what there is, unless it is less than `least`.
    fn compress(&mut self, least: usize) -> io::Result<()> {
        if self.parts.len() >= least {
            self.out.write_all(&self.parts)?;
            self.parts.clear();
        }
        Ok(())
    }
}

/// A tar stream that goes into a frame as it is read.
pub(crate) struct Watched<'a, R> {
    tar: R,
    frame: &'a FrameWriter,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.tar.read(buffer)?;
        self.frame.state.borrow_mut().pass(&buffer[..length])?;
        Ok(length)
    }
}
