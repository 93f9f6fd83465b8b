//! From a manifest's entry to a verified file.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::digest::{self, Hashing, Seen};
use crate::{Error, File, Packed};

/// The path of `file` as it is used: in the image itself, or unpacked into `cache`.
pub(crate) fn ready(image: &Path, cache: &Path, file: &File) -> Result<PathBuf, Error> {
    let plain = image.join(&file.name);
    match &file.packed {
        Some(packed) if !plain.exists() => {
            let cached = cache.join(&file.name);
            // A damaged copy in the cache is not the user's problem: it is made again.
            if verify(&cached, file.size, &file.sha256).is_err() {
                unpack(&image.join(&packed.name), packed, &cached, file)?;
            }
            Ok(cached)
        }
        Some(_) | None => {
            verify(&plain, file.size, &file.sha256)?;
            Ok(plain)
        }
    }
}

fn verify(path: &Path, size: u64, sha256: &str) -> Result<(), Error> {
    let seen = digest::of_file(path).map_err(|source| opening(path, source))?;
    compare(path, &seen, size, sha256)
}

fn compare(path: &Path, seen: &Seen, size: u64, sha256: &str) -> Result<(), Error> {
    if seen.size == size && seen.sha256 == sha256 {
        return Ok(());
    }
    Err(Error::Damaged {
        path: path.to_owned(),
        expected: sha256.to_owned(),
        found: seen.sha256.clone(),
    })
}

fn opening(path: &Path, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::NotFound {
        Error::FileMissing { path: path.to_owned() }
    } else {
        Error::Io { action: "read", path: path.to_owned(), source }
    }
}

/// Unpacks into a temporary file, checks both digests, then takes the final name: another command
/// that does the same at the same time is not disturbed.
fn unpack(source: &Path, packed: &Packed, target: &Path, file: &File) -> Result<(), Error> {
    let reading = |error| Error::Io { action: "unpack", path: source.to_owned(), source: error };
    let writing = |error| Error::Io { action: "write", path: target.to_owned(), source: error };

    let directory = target.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(directory).map_err(writing)?;
    let mut temporary =
        tempfile::Builder::new().prefix(".unpacking-").tempfile_in(directory).map_err(writing)?;

    let mut input =
        Hashing::new(std::fs::File::open(source).map_err(|error| opening(source, error))?);
    let unpacked = {
        let mut output = Hashing::new(temporary.as_file_mut());
        let decoder = zstd::stream::read::Decoder::new(&mut input).map_err(reading)?;
        // One byte more than there should be tells a file that is too long; it is not filled up.
        let outcome = io::copy(&mut decoder.take(file.size + 1), &mut output);
        (output.finish(), outcome)
    };
    io::copy(&mut input, &mut io::sink()).map_err(reading)?;
    compare(source, &input.finish(), packed.size, &packed.sha256)?;
    let (seen, outcome) = unpacked;
    outcome.map_err(reading)?;
    compare(source, &seen, file.size, &file.sha256)?;
    temporary.persist(target).map_err(|error| writing(error.error))?;
    Ok(())
}
