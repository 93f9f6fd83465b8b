//! The data disk's image, looked into before QEMU does.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const MAGIC: u32 = 0x5146_49fb;
const HEADER_LENGTH: usize = 104;
/// The bit of the incompatible features that says: the data is in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// Why an image is not used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("the disk image cannot be read")]
    Io(#[from] io::Error),
    #[error("the disk image is not a qcow2 file")]
    NotQcow2,
    /// Such an image shows the guest a file of the host.
    #[error("the disk image refers to another file")]
    RefersElsewhere,
}

/// The size of the disk in an image, after checking that it stands on its own.
pub fn virtual_size(path: &Path) -> Result<u64, DiskError> {
    let mut header = [0; HEADER_LENGTH];
    File::open(path)?.read_exact(&mut header).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DiskError::NotQcow2,
        _ => DiskError::Io(error),
    })?;
    let number = |at: usize| {
        header[at..at + 8].iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
    };
    let (magic, version) = (number(0) >> 32, number(0) & 0xffff_ffff);
    if magic != u64::from(MAGIC) || !(2..=3).contains(&version) {
        return Err(DiskError::NotQcow2);
    }
    let backing_file = number(8);
    let incompatible_features = if version == 3 { number(72) } else { 0 };
    if backing_file != 0 || incompatible_features & EXTERNAL_DATA != 0 {
        return Err(DiskError::RefersElsewhere);
    }
    Ok(number(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of an image as is looked at.
    fn header(size: u64) -> Vec<u8> {
        let mut header = vec![0; HEADER_LENGTH];
        header[..4].copy_from_slice(&MAGIC.to_be_bytes());
        header[7] = 3;
        header[24..32].copy_from_slice(&size.to_be_bytes());
        header
    }

    #[test]
    fn the_size_of_an_image_is_the_disks_and_not_the_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for size in [1 << 20, 20 << 30, 8 << 40] {
            std::fs::write(file.path(), header(size)).unwrap();
            assert_eq!(virtual_size(file.path()).unwrap(), size);
        }
    }

    #[test]
    fn an_image_that_refers_to_another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        let image = header(16 << 20);
        std::fs::write(&path, &image).unwrap();
        virtual_size(&path).unwrap();
        for (at, byte) in [(15, 8), (79, 4)] {
            let mut changed = image.clone();
            changed[at] = byte;
            std::fs::write(&path, &changed).unwrap();
            assert!(matches!(virtual_size(&path), Err(DiskError::RefersElsewhere)), "byte {at}");
        }
    }

    #[test]
    fn what_is_not_qcow2_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        for content in [vec![], vec![0; 50], vec![0; 500]] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(virtual_size(&path), Err(DiskError::NotQcow2)));
        }
    }
}
