//! The header of a qcow2 file: whether the file is a disk that depends on nothing else.

/// How much of a file's beginning [`check`] looks at.
pub(super) const HEAD: u64 = 104;

const MAGIC: &[u8] = b"QFI\xfb";
/// Bits of features without which a reader goes wrong: not closed cleanly, another compression,
/// clusters in parts. What else there is (damage, an external data file) is not taken.
const HARMLESS: u64 = 1 | 1 << 3 | 1 << 4;
const SMALLEST: u64 = 1 << 20;
const LARGEST: u64 = 16 << 40;

/// Why a disk is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitDisk {
    #[error("it is not a qcow2 file")]
    NoQcow2,
    #[error("it is of an unknown version of qcow2: {0}")]
    Version(u32),
    #[error("it is only what differs from another file")]
    BackingFile,
    #[error("it is encrypted")]
    Encrypted,
    #[error("it has snapshots in itself")]
    Snapshots,
    #[error("it has features that are not known here, or it is damaged")]
    Features,
    #[error("{0} bytes are no sensible size")]
    Size(u64),
}

/// Looks at the first [`HEAD`] bytes; the answer is the size of the disk in bytes.
pub(super) fn check(head: &[u8]) -> Result<u64, UnfitDisk> {
    let u32_at = |at: usize| {
        let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or(UnfitDisk::NoQcow2)
    };
    let u64_at = |at: usize| {
        let bytes = head.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_be_bytes).ok_or(UnfitDisk::NoQcow2)
    };
    if !head.starts_with(MAGIC) {
        return Err(UnfitDisk::NoQcow2);
    }
    let version = u32_at(4)?;
    if !(2..=3).contains(&version) {
        return Err(UnfitDisk::Version(version));
    }
    if u64_at(8)? != 0 || u32_at(16)? != 0 {
        return Err(UnfitDisk::BackingFile);
    }
    if !(9..=21).contains(&u32_at(20)?) {
        return Err(UnfitDisk::Features);
    }
    let size = u64_at(24)?;
    if !(SMALLEST..=LARGEST).contains(&size) {
        return Err(UnfitDisk::Size(size));
    }
    if u32_at(32)? != 0 {
        return Err(UnfitDisk::Encrypted);
    }
    if u32_at(60)? != 0 {
        return Err(UnfitDisk::Snapshots);
    }
    if version == 3 && u64_at(72)? & !HARMLESS != 0 {
        return Err(UnfitDisk::Features);
    }
    Ok(size)
}

/// How long the file of a disk may be at most: all of its data, and the tables beside them.
pub(super) fn longest_file(disk_size_mib: u64) -> u64 {
    let disk = disk_size_mib.saturating_mul(1 << 20);
    disk.saturating_add(disk / 64).saturating_add(64 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Vec<u8> {
        let mut head = vec![0; 104];
        head[..4].copy_from_slice(MAGIC);
        head[7] = 3;
        head[23] = 16;
        head[24..32].copy_from_slice(&(4_u64 << 30).to_be_bytes());
        head
    }

    fn with(at: usize, value: u8) -> Vec<u8> {
        let mut head = head();
        head[at] = value;
        head
    }

    #[test]
    fn a_disk_that_stands_alone_is_taken() {
        assert_eq!(check(&head()), Ok(4 << 30));
        assert_eq!(check(&with(79, 1)), Ok(4 << 30));
        assert_eq!(check(&with(7, 2)), Ok(4 << 30));
    }

    #[test]
    fn a_disk_that_reads_other_files_or_is_absurd_is_refused() {
        assert_eq!(check(&with(15, 1)), Err(UnfitDisk::BackingFile));
        assert_eq!(check(&with(19, 1)), Err(UnfitDisk::BackingFile));
        assert_eq!(check(&with(79, 4)), Err(UnfitDisk::Features), "an external data file");
        assert_eq!(check(&with(79, 2)), Err(UnfitDisk::Features), "damaged");
        assert_eq!(check(&with(72, 1)), Err(UnfitDisk::Features), "unknown");
        assert_eq!(check(&with(35, 1)), Err(UnfitDisk::Encrypted));
        assert_eq!(check(&with(63, 1)), Err(UnfitDisk::Snapshots));
        assert!(matches!(check(&with(24, 1)), Err(UnfitDisk::Size(_))));
        assert!(matches!(check(&with(7, 9)), Err(UnfitDisk::Version(9))));
        assert_eq!(check(b"QFI\xfb"), Err(UnfitDisk::NoQcow2));
        assert_eq!(check(b"#!/bin/sh"), Err(UnfitDisk::NoQcow2));
    }
}
