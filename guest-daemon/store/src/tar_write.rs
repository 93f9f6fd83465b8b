//! Writing files as a tar stream, in the form that Docker's archives have: numbers for owners,
//! whole seconds, PAX headers for what the old header has no room for.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, Stat};
use tar::EntryType;

use crate::beneath;

/// Room for the names of files that have several; beyond it they are written as files of their
/// own.
const LINKED_NAMES: usize = 16 << 20;
const NAME_FIELD: usize = 100;
const CAPABILITY: &str = "security.capability";

/// A tar stream of files on this machine.
pub(crate) struct TarWriter<W: Write> {
    tar: tar::Builder<W>,
    /// By device and inode: the name under which a file with several was written.
    linked: HashMap<(u64, u64), Vec<u8>>,
    room: usize,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { tar: tar::Builder::new(writer), linked: HashMap::new(), room: LINKED_NAMES }
    }

    /// Adds what a descriptor stands for. Sockets have no form in an archive and are left out.
    pub(crate) fn add(&mut self, name: &[u8], entry: &OwnedFd, stat: &Stat) -> io::Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if let Some(first) = self.first_name(name, kind, stat) {
            return self.append(EntryType::Link, name, &first, stat, &[], io::empty());
        }
        match kind {
            FileType::RegularFile => self.add_file(name, entry, stat),
            FileType::Directory => {
                let mut name = name.to_owned();
                if !name.ends_with(b"/") {
                    name.push(b'/');
                }
                self.append(EntryType::Directory, &name, b"", stat, &[], io::empty())
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(entry, "", Vec::new())?;
                let target = target.to_bytes();
                self.append(EntryType::Symlink, name, target, stat, &[], io::empty())
            }
            FileType::CharacterDevice => {
                self.append(EntryType::Char, name, b"", stat, &[], io::empty())
            }
            FileType::BlockDevice => {
                self.append(EntryType::Block, name, b"", stat, &[], io::empty())
            }
            FileType::Fifo => self.append(EntryType::Fifo, name, b"", stat, &[], io::empty()),
            FileType::Socket | FileType::Unknown => Ok(()),
        }
    }

    /// Adds an empty file that is nowhere: the mark that something is gone.
    pub(crate) fn add_mark(&mut self, name: &[u8], stat: &Stat) -> io::Result<()> {
        let mut stat = *stat;
        (stat.st_size, stat.st_mode) = (0, stat.st_mode & 0o777);
        self.append(EntryType::Regular, name, b"", &stat, &[], io::empty())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.tar.finish()?;
        self.tar.into_inner()
    }

    /// The name under which the same file is in the archive already.
    fn first_name(&mut self, name: &[u8], kind: FileType, stat: &Stat) -> Option<Vec<u8>> {
        if kind == FileType::Directory || stat.st_nlink < 2 {
            return None;
        }
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.linked.get(&key) {
            return Some(first.clone());
        }
        if let Some(room) = self.room.checked_sub(name.len() + size_of::<[u64; 8]>()) {
            self.room = room;
            self.linked.insert(key, name.to_owned());
        }
        None
    }

    fn add_file(&mut self, name: &[u8], entry: &OwnedFd, stat: &Stat) -> io::Result<()> {
        let file = beneath::reopen(entry, OFlags::RDONLY | OFlags::NOATIME)
            .or_else(|_| beneath::reopen(entry, OFlags::RDONLY))?;
        let attributes: Vec<_> = capability(&file)?.into_iter().collect();
        // Its writers go on: the archive has as much of it as its header says.
        let content = std::fs::File::from(file).chain(io::repeat(0));
        self.append(EntryType::Regular, name, b"", stat, &attributes, content)
    }

    fn append(
        &mut self,
        kind: EntryType,
        name: &[u8],
        link: &[u8],
        stat: &Stat,
        attributes: &[(String, Vec<u8>)],
        content: impl Read,
    ) -> io::Result<()> {
        let mut extensions = attributes.to_vec();
        let mut extend = |key: &str, value: &[u8]| extensions.push((key.into(), value.into()));
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        put_text(&mut header.as_old_mut().name, name, || extend("path", name));
        put_text(&mut header.as_old_mut().linkname, link, || extend("linkpath", link));
        let mut number = |key: &str, value: u64, digits: u32| {
            let fits = value < 8_u64.pow(digits);
            if !fits {
                extend(key, value.to_string().as_bytes());
            }
            if fits { value } else { 0 }
        };
        header.set_uid(number("uid", stat.st_uid.into(), 7));
        header.set_gid(number("gid", stat.st_gid.into(), 7));
        let size = match kind {
            EntryType::Regular => u64::try_from(stat.st_size).unwrap_or(0),
            _ => 0,
        };
        header.set_size(number("size", size, 11));
        match u64::try_from(stat.st_mtime) {
            Ok(seconds) => header.set_mtime(number("mtime", seconds, 11)),
            Err(_) => {
                header.set_mtime(0);
                extend("mtime", stat.st_mtime.to_string().as_bytes());
            }
        }
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(rustix::fs::major(stat.st_rdev))?;
            header.set_device_minor(rustix::fs::minor(stat.st_rdev))?;
        }
        header.set_cksum();
        if !extensions.is_empty() {
            let pairs = extensions.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
            self.tar.append_pax_extensions(pairs)?;
        }
        self.tar.append(&header, content.take(size))
    }
}

/// Fills a field of a header; what is longer or empty of meaning there goes elsewhere.
fn put_text(field: &mut [u8; NAME_FIELD], text: &[u8], elsewhere: impl FnOnce()) {
    let fits = text.len().min(NAME_FIELD);
    field[..fits].copy_from_slice(&text[..fits]);
    if text.len() > NAME_FIELD {
        elsewhere();
    }
}

/// The capabilities that a program has as a file, as an attribute that means the same outside of
/// a user namespace.
fn capability(file: &OwnedFd) -> io::Result<Option<(String, Vec<u8>)>> {
    use rustix::io::Errno;
    const WITH_ROOT: u8 = 3;
    const WITHOUT_ROOT: u8 = 2;
    const LENGTH_WITHOUT_ROOT: usize = 20;
    let mut value = [0; 64];
    let length = match rustix::fs::fgetxattr(file, CAPABILITY, value.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut value = value[..length].to_vec();
    if value.get(3) == Some(&WITH_ROOT) {
        value[3] = WITHOUT_ROOT;
        value.truncate(LENGTH_WITHOUT_ROOT);
    }
    Ok(Some((format!("SCHILY.xattr.{CAPABILITY}"), value)))
}
