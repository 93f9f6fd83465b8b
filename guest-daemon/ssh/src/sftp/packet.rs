//! Packets: a length, a kind, and fields in network order.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The longest packet either side may send, without its length.
pub(crate) const PACKET_BYTES: usize = 256 * 1024;
const LENGTH: usize = 4;

pub(crate) const INIT: u8 = 1;
pub(crate) const VERSION: u8 = 2;
pub(crate) const OPEN: u8 = 3;
pub(crate) const CLOSE: u8 = 4;
pub(crate) const READ: u8 = 5;
pub(crate) const WRITE: u8 = 6;
pub(crate) const LSTAT: u8 = 7;
pub(crate) const FSTAT: u8 = 8;
pub(crate) const SETSTAT: u8 = 9;
pub(crate) const FSETSTAT: u8 = 10;
pub(crate) const OPENDIR: u8 = 11;
pub(crate) const READDIR: u8 = 12;
pub(crate) const REMOVE: u8 = 13;
pub(crate) const MKDIR: u8 = 14;
pub(crate) const RMDIR: u8 = 15;
pub(crate) const REALPATH: u8 = 16;
pub(crate) const STAT: u8 = 17;
pub(crate) const RENAME: u8 = 18;
pub(crate) const READLINK: u8 = 19;
pub(crate) const SYMLINK: u8 = 20;
pub(crate) const STATUS: u8 = 101;
pub(crate) const HANDLE: u8 = 102;
pub(crate) const DATA: u8 = 103;
pub(crate) const NAME: u8 = 104;
pub(crate) const ATTRS: u8 = 105;
pub(crate) const EXTENDED: u8 = 200;
pub(crate) const EXTENDED_REPLY: u8 = 201;

/// A packet that is shorter than its fields say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// The length of the first packet and its length field, once all of it is there.
pub(crate) fn complete(bytes: &[u8]) -> Result<Option<usize>, TooLong> {
    let Some(length) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > PACKET_BYTES {
        return Err(TooLong);
    }
    Ok((bytes.len() >= LENGTH + length).then_some(LENGTH + length))
}

#[derive(Debug, thiserror::Error)]
#[error("a packet is too long")]
pub(crate) struct TooLong;

/// What is left to read of a packet.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of a whole packet with its length.
    pub(crate) fn of_packet(packet: &'a [u8]) -> Self {
        Fields(packet.get(LENGTH..).unwrap_or_default())
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Short> {
        let (byte, rest) = self.0.split_first().ok_or(Short)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(crate) fn number(&mut self) -> Result<u32, Short> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    pub(crate) fn long(&mut self) -> Result<u64, Short> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*number))
    }

    pub(crate) fn text(&mut self) -> Result<&'a [u8], Short> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Short)?;
        self.0 = rest;
        Ok(text)
    }

    pub(crate) fn path(&mut self) -> Result<PathBuf, Short> {
        Ok(OsString::from_vec(self.text()?.to_vec()).into())
    }
}

/// Packets that are being written.
#[derive(Debug, Default)]
pub(crate) struct Packets(pub(crate) Vec<u8>);

impl Packets {
    /// Adds one packet with these fields.
    pub(crate) fn add(&mut self, kind: u8, id: u32, fields: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.number(0);
        self.byte(kind);
        self.number(id);
        fields(self);
        let length = self.0.len().saturating_sub(start + LENGTH);
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(place) = self.0.get_mut(start..start + LENGTH) {
            place.copy_from_slice(&length);
        }
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn number(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn long(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn text(&mut self, value: &[u8]) {
        self.number(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::attributes::Wanted;

    #[test]
    fn damaged_packets_are_read_or_found_to_be_short() {
        let mut packets = Packets::default();
        packets.add(OPEN, 7, |fields| {
            fields.text(b"/a/path");
            fields.number(0x1a);
            fields.number(0x8000_000f);
            fields.long(1 << 40);
            (0..4).for_each(|number| fields.number(number));
            fields.number(1);
            fields.text(b"extension");
            fields.text(b"value");
        });
        fuzz::rounds(&[packets.0], |bytes| {
            if let Ok(Some(length)) = complete(bytes) {
                let mut fields = Fields::of_packet(&bytes[..length]);
                drop((fields.byte(), fields.number(), fields.path(), fields.number()));
                drop(Wanted::read(&mut fields));
            }
        });
    }
}
