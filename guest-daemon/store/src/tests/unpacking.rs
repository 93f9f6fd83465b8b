//! What a layer's archive becomes, and what it cannot do.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::EntryType;

use super::{Tar, unpack, with_checksums};

fn unpacked(tar: Tar) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    unpack(tar.done().as_slice(), folder.path()).unwrap();
    folder
}

fn refused(tar: Tar) -> String {
    let folder = tempfile::tempdir().unwrap();
    unpack(tar.done().as_slice(), folder.path()).unwrap_err().to_string()
}

#[test]
fn owners_modes_times_and_hard_links_are_kept() {
    let mut header = Tar::header(EntryType::Regular, b"bin/su", 3);
    header.set_mode(0o4755);
    header.set_uid(7);
    header.set_gid(8);
    let tar = Tar::new()
        .folder("bin/")
        .pax(&[("mtime", b"1600000000.25")])
        .add(header, b"abc")
        .link(EntryType::Link, "bin/again", "bin/su");
    let folder = unpacked(tar);
    let stat = fs::metadata(folder.path().join("bin/su")).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.gid()), (0o4755, 7, 8));
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (1_600_000_000, 250_000_000));
    assert_eq!(stat.nlink(), 2);
    let above = fs::metadata(folder.path().join("bin")).unwrap();
    assert_eq!(above.mtime(), 1_700_000_000);
}

#[test]
fn devices_fifos_and_names_that_are_no_text_are_kept() {
    let mut device = Tar::header(EntryType::Char, b"null", 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    let tar = Tar::new()
        .add(device, b"")
        .add(Tar::header(EntryType::Fifo, b"pipe", 0), b"")
        .add(Tar::header(EntryType::Regular, b"caf\xe9", 1), b"x");
    let folder = unpacked(tar);
    let null = fs::metadata(folder.path().join("null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!(null.rdev(), rustix::fs::makedev(1, 3));
    assert!(fs::metadata(folder.path().join("pipe")).unwrap().file_type().is_fifo());
    assert!(folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")).exists());
}

#[test]
fn long_names_work_in_both_forms() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(130));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Tar::header(EntryType::Regular, b"x", 2);
    builder.append_data(&mut header, &long, b"hi".as_slice()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    unpack(builder.into_inner().unwrap().as_slice(), folder.path()).unwrap();
    assert_eq!(fs::read(folder.path().join(&long)).unwrap(), b"hi");
    let folder = unpacked(Tar::new().pax(&[("path", long.as_bytes())]).file("short", b"pax"));
    assert_eq!(fs::read(folder.path().join(&long)).unwrap(), b"pax");
}

#[test]
fn extended_attributes_are_kept_but_not_overlays_own() {
    let tar = Tar::new()
        .pax(&[("SCHILY.xattr.user.colour", b"red"), ("SCHILY.xattr.trusted.overlay.opaque", b"y")])
        .file("f", b"");
    let folder = unpacked(tar);
    let path = folder.path().join("f");
    let mut value = [0; 16];
    assert_eq!(rustix::fs::getxattr(&path, "user.colour", value.as_mut_slice()).unwrap(), 3);
    assert!(rustix::fs::getxattr(&path, "trusted.overlay.opaque", value.as_mut_slice()).is_err());
}

#[test]
fn whiteouts_take_overlays_form() {
    let tar = Tar::new()
        .folder("etc/")
        .file("etc/.wh.passwd", b"")
        .file("var/.wh..wh..opq", b"")
        .file(".wh..wh.plnk", b"");
    let folder = unpacked(tar);
    let hidden = fs::symlink_metadata(folder.path().join("etc/passwd")).unwrap();
    assert!(hidden.file_type().is_char_device());
    assert_eq!(hidden.rdev(), 0);
    let mut value = [0; 4];
    let var = folder.path().join("var");
    let length =
        rustix::fs::getxattr(&var, "trusted.overlay.opaque", value.as_mut_slice()).unwrap();
    assert_eq!(&value[..length], b"y");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_link_within_the_layer_is_followed_as_if_the_layer_were_the_root() {
    let tar = Tar::new()
        .folder("usr/")
        .folder("usr/lib/")
        .link(EntryType::Symlink, "lib", "/usr/lib")
        .file("lib/a.so", b"elf");
    let folder = unpacked(tar);
    assert_eq!(fs::read(folder.path().join("usr/lib/a.so")).unwrap(), b"elf");
}

#[test]
fn nothing_is_written_outside_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    assert!(refused(Tar::new().file("a/../../evil", b"")).contains("outside"));
    let through_link = Tar::new().link(EntryType::Symlink, "out", target).file("out/evil", b"");
    let folder = tempfile::tempdir().unwrap();
    // The link's target is looked for beneath the root, where it is not.
    drop(unpack(through_link.done().as_slice(), folder.path()));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    let climbing = Tar::new()
        .link(EntryType::Symlink, "up", "../../../../../../../../tmp")
        .file("up/evil-machine-test", b"");
    drop(unpack(climbing.done().as_slice(), folder.path()));
    assert!(!Path::new("/tmp/evil-machine-test").exists());
    let hard = Tar::new().link(EntryType::Link, "p", "../../../etc/passwd");
    assert!(!refused(hard).is_empty());
}

#[test]
fn the_last_entry_of_a_name_counts_and_folders_are_merged() {
    let tar = Tar::new()
        .folder("d/")
        .file("d/kept", b"1")
        .file("f", b"old")
        .folder("d/")
        .file("f", b"new")
        .link(EntryType::Symlink, "s", "f")
        .file("s", b"file");
    let folder = unpacked(tar);
    assert_eq!(fs::read(folder.path().join("f")).unwrap(), b"new");
    assert_eq!(fs::read(folder.path().join("s")).unwrap(), b"file");
    assert!(folder.path().join("d/kept").exists());
}

#[test]
fn sparse_files_of_the_gnu_form_keep_their_holes_as_zeros() {
    let mut header = Tar::header(EntryType::GNUSparse, b"sparse", 4);
    {
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(12);
        gnu.sparse[0].set_offset(8);
        gnu.sparse[0].set_length(4);
    }
    let folder = unpacked(Tar::new().add(header, b"tail"));
    assert_eq!(fs::read(folder.path().join("sparse")).unwrap(), b"\0\0\0\0\0\0\0\0tail");
}

#[test]
fn sparse_files_of_the_pax_form_are_put_together() {
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"data/sparse"),
            ("GNU.sparse.realsize", b"12"),
        ])
        .file("GNUSparseFile.0/sparse", &[b"1\n8\n4\n".as_slice(), &[0; 506], b"tail"].concat())
        .file("next", b"1");
    let folder = unpacked(tar);
    let whole = fs::read(folder.path().join("data/sparse")).unwrap();
    assert_eq!(whole, b"\0\0\0\0\0\0\0\0tail");
    assert!(folder.path().join("next").exists());
}

#[test]
fn a_damaged_archive_changes_nothing_outside_its_folder() {
    let tar = Tar::new()
        .folder("a/")
        .file("a/file", b"content")
        .link(EntryType::Symlink, "a/link", "/../../outside")
        .link(EntryType::Symlink, "up", "..")
        .file("a/link/x", b"through a link")
        .file("up/outside", b"up and out")
        .pax(&[("path", b"../long/name"), ("mtime", b"1.5"), ("SCHILY.xattr.user.a", b"b")])
        .file("short", b"x")
        .link(EntryType::Link, "hard", "../../outside")
        .file("a/.wh.file", b"")
        .done();
    let around = tempfile::tempdir().unwrap();
    let outside = around.path().join("outside");
    fs::write(&outside, "untouched").unwrap();
    fuzz::rounds(&[tar], |bytes| {
        let folder = around.path().join("root");
        fs::create_dir(&folder).unwrap();
        drop(unpack(with_checksums(bytes).as_slice(), &folder));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
    });
}
