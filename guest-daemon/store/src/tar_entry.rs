//! One entry of a tar stream, with what PAX headers add to it, decoded to plain values.

use std::collections::BTreeMap;
use std::io::{self, Read};

use rustix::fs::Timespec;
use tar::EntryType;

use crate::sparse::Sparse;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
    /// Headers about other entries, and what nobody needs.
    Skip,
}

#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub kind: Kind,
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    /// Of the content, with its holes.
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub modified: Timespec,
    pub device: (u32, u32),
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the content belongs, if there are holes that it does not have.
    pub sparse: Option<Sparse>,
}

impl Meta {
    pub(crate) fn read<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Self> {
        let header = entry.header();
        let old = header.as_old();
        let kind = kind_of(header.entry_type());
        let device = match kind {
            Kind::CharDevice | Kind::BlockDevice => {
                (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0))
            }
            _ => (0, 0),
        };
        let mut meta = Self {
            kind,
            path: entry.path_bytes().into_owned(),
            link: entry.link_name_bytes().map_or_else(Vec::new, |link| link.into_owned()),
            size: entry.size(),
            mode: or_blank(&old.mode, header.mode())? & 0o7777,
            uid: number(or_blank(&old.uid, header.uid())?)?,
            gid: number(or_blank(&old.gid, header.gid())?)?,
            modified: Timespec {
                tv_sec: signed(or_blank(&old.mtime, header.mtime())?),
                tv_nsec: 0,
            },
            device,
            xattrs: BTreeMap::new(),
            sparse: None,
        };
        // Old archivers mark folders by a slash alone.
        if kind == Kind::File && meta.path.ends_with(b"/") {
            meta.kind = Kind::Folder;
        }
        if kind == Kind::Skip {
            return Ok(meta);
        }
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                meta.extend(extension.key_bytes(), extension.value_bytes())?;
            }
        }
        Ok(meta)
    }

    fn extend(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.insert(name.to_vec(), value.to_vec());
            return Ok(());
        }
        let text = || std::str::from_utf8(value).map_err(|_| bad("a PAX header is not text"));
        match key {
            b"mtime" => self.modified = parse_time(text()?)?,
            b"uid" => self.uid = parse_owner(text()?)?,
            b"gid" => self.gid = parse_owner(text()?)?,
            b"size" if text()?.parse::<u64>().is_err() => {
                return Err(bad("a size is not a number"));
            }
            b"GNU.sparse.name" => self.path = value.to_vec(),
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    let sparse = self.sparse.get_or_insert_default();
                    sparse.header(key, text()?)?;
                    self.size = sparse.size;
                }
            }
        }
        Ok(())
    }
}

fn kind_of(kind: EntryType) -> Kind {
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::HardLink,
        EntryType::Char => Kind::CharDevice,
        EntryType::Block => Kind::BlockDevice,
        EntryType::Fifo => Kind::Fifo,
        _ => Kind::Skip,
    }
}

/// Some archivers leave a number out; that is zero.
fn or_blank<T: Default>(field: &[u8], value: io::Result<T>) -> io::Result<T> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) { Ok(T::default()) } else { value }
}

fn parse_owner(text: &str) -> io::Result<u32> {
    number(text.parse().map_err(|_| bad("an owner is not a number"))?)
}

/// The largest number is none: it means that the owner stays.
fn number(value: u64) -> io::Result<u32> {
    match u32::try_from(value) {
        Ok(owner) if owner != u32::MAX => Ok(owner),
        _ => Err(bad("an owner is out of range")),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(0)
}

/// `1700000000.123456789`, perhaps negative.
fn parse_time(text: &str) -> io::Result<Timespec> {
    let wrong = || bad("a time is not a number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds: i64 = whole.parse().map_err(|_| wrong())?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let mut nanos: i64 = digits.parse().map_err(|_| wrong())?;
    if whole.starts_with('-') && nanos > 0 {
        seconds -= 1;
        nanos = 1_000_000_000 - nanos;
    }
    Ok(Timespec { tv_sec: seconds, tv_nsec: nanos })
}

pub(crate) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds() {
        let time = parse_time("1700000000.5").unwrap();
        assert_eq!((time.tv_sec, time.tv_nsec), (1_700_000_000, 500_000_000));
        let time = parse_time("-1.25").unwrap();
        assert_eq!((time.tv_sec, time.tv_nsec), (-2, 750_000_000));
        assert!(parse_time("soon").is_err());
    }
}
