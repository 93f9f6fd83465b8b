//! An empty disk image.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// Makes an empty qcow2 image for a disk of at most 512 MiB.
pub(crate) fn create(path: &Path, size_mib: u64) {
    let mut file = std::fs::File::create_new(path).unwrap();
    file.write_all(&header(size_mib << 20)).unwrap();
    // Cluster 1 is the table of reference counts, its only block is cluster 2, and cluster 3 is the
    // table of the disk's clusters, of which there are none.
    file.seek(SeekFrom::Start(CLUSTER)).unwrap();
    file.write_all(&(2 * CLUSTER).to_be_bytes()).unwrap();
    file.seek(SeekFrom::Start(2 * CLUSTER)).unwrap();
    for _ in 0..4 {
        file.write_all(&1_u16.to_be_bytes()).unwrap();
    }
    file.set_len(4 * CLUSTER).unwrap();
}

fn header(size: u64) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(0x5146_49fb_u32.to_be_bytes());
    header.extend(3_u32.to_be_bytes());
    header.extend([0; 12]); // No backing file.
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend(0_u32.to_be_bytes()); // Not encrypted.
    header.extend(1_u32.to_be_bytes()); // Entries of the table.
    header.extend((3 * CLUSTER).to_be_bytes());
    header.extend(CLUSTER.to_be_bytes());
    header.extend(1_u32.to_be_bytes()); // Clusters of the table of reference counts.
    header.extend([0; 12]); // No snapshots.
    header.extend([0; 24]); // No feature bits.
    header.extend(4_u32.to_be_bytes()); // A reference count has 2^4 bits.
    header.extend(104_u32.to_be_bytes());
    header.extend([0; 8]); // The end of the header extensions.
    header
}
