//! What OpenSSH added to the protocol: its names, and how they are done.

use rustix::fs::{CWD, StatVfs};

use super::answer::{Answer, Refusal, Server};
use super::attributes::Wanted;
use super::files::{self, HANDLES, TRANSFER_BYTES, absolute};
use super::packet::{Fields, PACKET_BYTES, Packets};

const POSIX_RENAME: &[u8] = b"posix-rename@openssh.com";
const STATVFS: &[u8] = b"statvfs@openssh.com";
const FSTATVFS: &[u8] = b"fstatvfs@openssh.com";
const HARDLINK: &[u8] = b"hardlink@openssh.com";
const FSYNC: &[u8] = b"fsync@openssh.com";
const LSETSTAT: &[u8] = b"lsetstat@openssh.com";
const LIMITS: &[u8] = b"limits@openssh.com";
const EXPAND_PATH: &[u8] = b"expand-path@openssh.com";
const COPY_DATA: &[u8] = b"copy-data";

const KNOWN: [(&[u8], &[u8]); 9] = [
    (POSIX_RENAME, b"1"),
    (STATVFS, b"2"),
    (FSTATVFS, b"2"),
    (HARDLINK, b"1"),
    (FSYNC, b"1"),
    (LSETSTAT, b"1"),
    (LIMITS, b"1"),
    (EXPAND_PATH, b"1"),
    (COPY_DATA, b"1"),
];

/// Names all of them with their versions.
pub(super) fn announce(fields: &mut Packets) {
    for (name, version) in KNOWN {
        fields.text(name);
        fields.text(version);
    }
}

pub(super) fn perform(server: &mut Server, fields: &mut Fields<'_>) -> Result<Answer, Refusal> {
    let name = fields.text()?;
    let mut path = || fields.path().map(|path| absolute(&path));
    match name {
        POSIX_RENAME => std::fs::rename(path()?, path()?)?,
        HARDLINK => {
            let (existing, new) = (path()?, path()?);
            rustix::fs::linkat(CWD, existing, CWD, new, rustix::fs::AtFlags::empty())?;
        }
        STATVFS => return Ok(space(&rustix::fs::statvfs(path()?)?)),
        FSTATVFS => {
            let descriptor = server.handles.descriptor(fields.text()?)?;
            return Ok(space(&rustix::fs::fstatvfs(descriptor)?));
        }
        FSYNC => server.handles.file(fields.text()?)?.sync_all()?,
        LSETSTAT => {
            let path = path()?;
            Wanted::read(fields)?.apply_to_path(&path, false)?;
        }
        EXPAND_PATH => return Ok(Answer::path(&files::expanded(&fields.path()?)?)),
        LIMITS => {
            let mut limits = Packets::default();
            limits.long(PACKET_BYTES as u64);
            limits.long(TRANSFER_BYTES.into());
            limits.long(TRANSFER_BYTES.into());
            limits.long(HANDLES as u64);
            return Ok(Answer::Extended(limits));
        }
        COPY_DATA => {
            let (from, from_offset, length) = (fields.text()?, fields.long()?, fields.long()?);
            let (to, to_offset) = (fields.text()?, fields.long()?);
            // A file that grows while it is read has no end.
            if from == to {
                return Err(rustix::io::Errno::INVAL.into());
            }
            let (from, to) = (server.handles.file(from)?, server.handles.file(to)?);
            files::copy((from, from_offset), (to, to_offset), length)?;
        }
        _ => return Err(Refusal::Unsupported),
    }
    Ok(Answer::Done)
}

/// How much room there is.
fn space(file_system: &StatVfs) -> Answer {
    let mut fields = Packets::default();
    for number in [
        file_system.f_bsize,
        file_system.f_frsize,
        file_system.f_blocks,
        file_system.f_bfree,
        file_system.f_bavail,
        file_system.f_files,
        file_system.f_ffree,
        file_system.f_favail,
        file_system.f_fsid,
        // Of the flags the protocol knows "read only" and "no set-uid", with the same values.
        file_system.f_flag.bits() & 3,
        file_system.f_namemax,
    ] {
        fields.long(number);
    }
    Answer::Extended(fields)
}
