//! The data disk's image: makes an empty one, and looks into one before QEMU does.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAGIC: u32 = 0x5146_49fb;
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const HEADER_LENGTH: usize = 104;
/// The bit of the incompatible features that says: the data is in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// Why an image is not used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("the disk image cannot be read or written")]
    Io(#[from] io::Error),
    #[error("the disk image is not a qcow2 file")]
    NotQcow2,
    /// Such an image shows the guest a file of the host.
    #[error("the disk image refers to another file")]
    RefersElsewhere,
}

/// Makes an empty image for a disk of this size; it takes 256 KiB and grows as it is written to.
/// The file must not exist.
pub fn create(path: &Path, size_mib: u64) -> Result<(), DiskError> {
    let size = size_mib * 1024 * 1024;
    // One entry of the first table leads to one cluster of second-table entries.
    let covered_by_entry = CLUSTER * (CLUSTER / 8);
    let entries = size.div_ceil(covered_by_entry);
    let table_clusters = (entries * 8).div_ceil(CLUSTER).max(1);
    let used_clusters = 3 + table_clusters;

    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&header(size, entries))?;
    // Cluster 1 is the table of reference counts, its only block is cluster 2: each cluster in use
    // is counted once.
    file.seek(SeekFrom::Start(CLUSTER))?;
    file.write_all(&(2 * CLUSTER).to_be_bytes())?;
    file.seek(SeekFrom::Start(2 * CLUSTER))?;
    for _ in 0..used_clusters {
        file.write_all(&1_u16.to_be_bytes())?;
    }
    file.set_len(used_clusters * CLUSTER)?;
    file.sync_all()?;
    Ok(())
}

fn header(size: u64, first_table_entries: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LENGTH + 8);
    let entries = u32::try_from(first_table_entries).unwrap_or(u32::MAX);
    header.extend(MAGIC.to_be_bytes());
    header.extend(3_u32.to_be_bytes());
    header.extend([0; 12]); // No backing file.
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend(0_u32.to_be_bytes()); // Not encrypted.
    header.extend(entries.to_be_bytes());
    header.extend((3 * CLUSTER).to_be_bytes());
    header.extend(CLUSTER.to_be_bytes());
    header.extend(1_u32.to_be_bytes()); // Clusters of the table of reference counts.
    header.extend([0; 12]); // No snapshots.
    header.extend([0; 24]); // No feature bits.
    header.extend(4_u32.to_be_bytes()); // A reference count has 2^4 bits.
    header.extend((HEADER_LENGTH as u32).to_be_bytes());
    header.extend([0; 8]); // The end of the header extensions.
    header
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

    #[test]
    fn a_new_image_has_the_size_it_was_made_with() {
        let folder = tempfile::tempdir().unwrap();
        for size_mib in [1, 20 * 1024, 8 * 1024 * 1024] {
            let path = folder.path().join(format!("{size_mib}.qcow2"));
            create(&path, size_mib).unwrap();
            assert_eq!(virtual_size(&path).unwrap(), size_mib * 1024 * 1024);
            assert!(path.metadata().unwrap().len() <= 5 * CLUSTER);
        }
    }

    #[test]
    fn an_existing_image_is_never_overwritten() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(create(file.path(), 1), Err(DiskError::Io(_))));
    }

    #[test]
    fn an_image_that_refers_to_another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.qcow2");
        create(&path, 16).unwrap();
        let image = std::fs::read(&path).unwrap();
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
