//! Compressing a file that was rotated away, beside the writing.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use super::files::compressed;

/// The files that are being compressed: they must not be renamed until that is done.
static BUSY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static DONE: Condvar = Condvar::new();

/// Replaces a file by its compressed form. What a crash leaves is the plain file.
pub(super) fn begin(plain: PathBuf) {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner).insert(plain.clone());
    let begun = std::thread::Builder::new().name("log compression".to_owned()).spawn({
        let plain = plain.clone();
        move || {
            if let Err(error) = compress(&plain) {
                tracing::warn!(%error, path = %plain.display(), "a log stays uncompressed");
            }
            end(&plain);
        }
    });
    if let Err(error) = begun {
        tracing::warn!(%error, path = %plain.display(), "a log stays uncompressed");
        end(&plain);
    }
}

/// Waits until nobody compresses this file.
pub(super) fn wait(plain: &Path) {
    let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
    while busy.contains(plain) {
        busy = DONE.wait(busy).unwrap_or_else(PoisonError::into_inner);
    }
}

fn end(plain: &Path) {
    BUSY.lock().unwrap_or_else(PoisonError::into_inner).remove(plain);
    DONE.notify_all();
}

fn compress(plain: &Path) -> io::Result<()> {
    let place = compressed(plain);
    let mut half = place.as_os_str().to_owned();
    half.push(".new");
    let half = PathBuf::from(half);
    let result = write(plain, &half).and_then(|()| fs::rename(&half, &place));
    if result.is_err() {
        // A full disk is the usual reason, and this is what fills it.
        drop(fs::remove_file(&half));
    }
    result.and_then(|()| fs::remove_file(plain))
}

fn write(plain: &Path, into: &Path) -> io::Result<()> {
    let mut plain = File::open(plain)?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(into)?;
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    io::copy(&mut plain, &mut encoder)?;
    encoder.finish()?.sync_all()
}
