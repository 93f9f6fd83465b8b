//! Reading a tar stream entry by entry. What stands before an entry's content is kept in memory
//! by the parser, so it is bounded here.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::tar_entry::Meta;

/// Bytes of an entry's header with all that extends it. Honest ones need a few KiB.
const HEADERS_LIMIT: u64 = 1 << 20;
pub(crate) const BLOCK: u64 = 512;

/// Hands each entry to `step`, which need not read its content.
pub(crate) fn each<R: Read>(
    archive: R,
    mut step: impl FnMut(&mut tar::Entry<'_, Metered<R>>, &Meta) -> io::Result<()>,
) -> io::Result<()> {
    let meter = Rc::new(Meter::default());
    let mut archive = tar::Archive::new(Metered { inner: archive, meter: Rc::clone(&meter) });
    meter.allow(HEADERS_LIMIT);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let begin = meter.read.get();
        meter.allow(u64::MAX);
        let meta = Meta::read(&mut entry)?;
        let stored = match entry.header().entry_type() {
            // The size of these is that of the file with its holes.
            tar::EntryType::GNUSparse => entry.header().entry_size()?,
            _ => entry.size(),
        };
        step(&mut entry, &meta)?;
        // The parser skips what was not read of this one before it looks at the next.
        let unread = stored.saturating_sub(meter.read.get() - begin);
        meter.allow(unread.saturating_add(BLOCK + HEADERS_LIMIT));
    }
    Ok(())
}

/// Whether a block begins an archive, as all but very old programs make them.
pub(crate) fn is_header(block: &[u8]) -> bool {
    block.get(257..262) == Some(b"ustar")
}

/// How much was read, and how much may be.
#[derive(Debug, Default)]
struct Meter {
    read: Cell<u64>,
    end: Cell<u64>,
}

impl Meter {
    fn allow(&self, more: u64) {
        self.end.set(self.read.get().saturating_add(more));
    }
}

/// A stream that ends with an error where more is read than was allowed.
#[derive(Debug)]
pub(crate) struct Metered<R> {
    inner: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.meter.end.get() - self.meter.read.get();
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the headers of an entry are larger than {HEADERS_LIMIT} bytes"),
            ));
        }
        let length = usize::try_from(allowed).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..length])?;
        self.meter.read.set(self.meter.read.get() + read as u64);
        Ok(read)
    }
}
