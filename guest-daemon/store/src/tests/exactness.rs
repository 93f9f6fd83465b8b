//! What goes out as an archive comes in again as it was.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags};

use super::{store, unpack};

const CAPABILITY: &str = "security.capability";
/// `cap_net_raw+ep`.
const NET_RAW: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// All that archives are bad at.
fn fill(folder: &Path) {
    let long = folder.join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("f".repeat(250)), "long").unwrap();
    fs::write(folder.join(std::ffi::OsStr::from_bytes(b"caf\xe9 \xff")), "no text").unwrap();
    fs::write(folder.join("ping"), "program").unwrap();
    fs::hard_link(folder.join("ping"), folder.join("ping6")).unwrap();
    fs::set_permissions(folder.join("ping"), fs::Permissions::from_mode(0o6711)).unwrap();
    rustix::fs::setxattr(folder.join("ping"), CAPABILITY, NET_RAW, XattrFlags::empty()).unwrap();
    rustix::fs::chown(
        folder.join("ping"),
        Some(rustix::fs::Uid::from_raw(3_000_000)),
        Some(rustix::fs::Gid::from_raw(4)),
    )
    .unwrap();
    // Changing the owner takes both away.
    fs::set_permissions(folder.join("ping"), fs::Permissions::from_mode(0o6711)).unwrap();
    rustix::fs::setxattr(folder.join("ping"), CAPABILITY, NET_RAW, XattrFlags::empty()).unwrap();
    symlink("t".repeat(300), folder.join("link")).unwrap();
    let device = rustix::fs::makedev(1, 3);
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(CWD, folder.join("null"), FileType::CharacterDevice, mode, device).unwrap();
    rustix::fs::mknodat(CWD, folder.join("pipe"), FileType::Fifo, mode, 0).unwrap();
    let sparse = fs::File::create(folder.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 8 << 20).unwrap();
}

fn check(folder: &Path) {
    let long = folder.join("d".repeat(200)).join("e".repeat(200)).join("f".repeat(250));
    assert_eq!(fs::read(long).unwrap(), b"long");
    assert!(folder.join(std::ffi::OsStr::from_bytes(b"caf\xe9 \xff")).exists());
    let ping = fs::metadata(folder.join("ping")).unwrap();
    assert_eq!((ping.mode() & 0o7777, ping.uid(), ping.gid()), (0o6711, 3_000_000, 4));
    assert_eq!(ping.ino(), fs::metadata(folder.join("ping6")).unwrap().ino());
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(folder.join("ping"), CAPABILITY, value.as_mut_slice());
    assert_eq!(&value[..length.unwrap()], NET_RAW);
    assert_eq!(fs::read_link(folder.join("link")).unwrap().as_os_str().len(), 300);
    let null = fs::metadata(folder.join("null")).unwrap();
    assert_eq!(null.rdev(), rustix::fs::makedev(1, 3));
    assert!(fs::metadata(folder.join("pipe")).unwrap().file_type().is_fifo());
    let sparse = fs::metadata(folder.join("sparse")).unwrap();
    assert_eq!(sparse.len(), (8 << 20) + 3);
    assert!(sparse.blocks() < 64, "{} blocks", sparse.blocks());
}

#[test]
fn what_is_exported_or_committed_is_what_comes_in_again() {
    let (folder, store) = store();
    store.create_container_folder("c1").unwrap();
    fill(&store.layout().container_file("c1", "upper"));
    let lower = folder.path().join("lower");
    fs::create_dir(&lower).unwrap();
    let mut exported = Vec::new();
    store.export_container("c1", std::slice::from_ref(&lower), &mut exported).unwrap();
    let again = folder.path().join("again");
    fs::create_dir(&again).unwrap();
    unpack(exported.as_slice(), &again).unwrap();
    check(&again);
    let committed =
        store.keep(&store.land_spooled(&store.spool_container("c1").unwrap()).unwrap()).unwrap();
    check(&store.layout().layer_diff(&committed.diff_id));
    let imported = store.keep(&store.land(exported.as_slice()).unwrap()).unwrap();
    check(&store.layout().layer_diff(&imported.diff_id));
}
