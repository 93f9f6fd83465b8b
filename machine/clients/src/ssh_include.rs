//! One line in the user's own SSH configuration. All other lines stay as they are.

use std::fs::{DirBuilder, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// Whether the user's file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Made,
    /// It was so already.
    None,
}

/// The line that includes a file. It must be the first, or it would belong to a `Host` above it.
pub fn line(included: &Path) -> Result<String, Error> {
    let unnameable = || Error::Unnameable { path: included.to_owned() };
    let text = included.to_str().ok_or_else(unnameable)?;
    if text.contains(['\n', '\r', '"', '\\']) {
        return Err(unnameable());
    }
    // The name is a pattern.
    let mut name = String::new();
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[') {
            name.push('\\');
        }
        name.push(letter);
    }
    Ok(format!("Include \"{name}\""))
}

/// Has the user's configuration include the file.
pub fn install(config: &Path, included: &Path) -> Result<Change, Error> {
    let line = line(included)?;
    let present = read(config)?.unwrap_or_default();
    if effective_head(&present).any(|known| known == line) {
        return Ok(Change::None);
    }
    let mut content = format!("{line}\n").into_bytes();
    content.extend_from_slice(&present);
    write(config, &content)?;
    Ok(Change::Made)
}

/// Takes the line out again, wherever it stands.
pub fn uninstall(config: &Path, included: &Path) -> Result<Change, Error> {
    let line = line(included)?;
    let Some(present) = read(config)? else { return Ok(Change::None) };
    let content: Vec<u8> = present
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|known| known.trim_ascii() != line.as_bytes())
        .flatten()
        .copied()
        .collect();
    if content == present {
        return Ok(Change::None);
    }
    write(config, &content)?;
    Ok(Change::Made)
}

/// The lines before the first that limits what follows to some hosts.
fn effective_head(content: &[u8]) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    content
        .split(|byte| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line.trim_ascii()))
        .take_while(|line| {
            let word = line.split([' ', '\t', '=']).next().unwrap_or_default();
            !word.eq_ignore_ascii_case("host") && !word.eq_ignore_ascii_case("match")
        })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { action: "read", path: path.to_owned(), source }),
    }
}

/// In one step, with the mode that the file has. A link stays one: what it leads to is replaced.
fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let io = |source| Error::Io { action: "write", path: path.to_owned(), source };
    let path: PathBuf = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(io(error)),
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    }
    let mode = path.metadata().map_or(0o600, |metadata| metadata.permissions().mode() & 0o7777);
    let mut file =
        tempfile::Builder::new().prefix(".config-").tempfile_in(directory).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(&path).map_err(|error| io(error.error))?;
    std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests;
