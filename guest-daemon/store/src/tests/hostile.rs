//! Layers and archives that mean harm, by every way in: pulled, imported, loaded.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tar::EntryType;

use super::images::{docker_archive, load};
use super::{Tar, gzip, store};
use crate::{ExpectedLayer, Store, StoreError, digest_of};

/// What is to become of a layer.
enum Fate {
    /// A part of the complaint.
    Refused(&'static str),
    /// It is unpacked, and what it meant to do did not happen.
    Harmless(fn(&Path)),
}

use Fate::{Harmless, Refused};

fn device(kind: EntryType, path: &[u8], major: u32, minor: u32) -> tar::Header {
    let mut header = Tar::header(kind, path, 0);
    header.set_device_major(major).unwrap();
    header.set_device_minor(minor).unwrap();
    header
}

/// A file of so many bytes, of which the archive has but the last.
fn sparse(size: u64) -> tar::Header {
    let mut header = Tar::header(EntryType::GNUSparse, b"sparse", 1);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(size);
    gnu.sparse[0].set_offset(size - 1);
    gnu.sparse[0].set_length(1);
    header
}

fn long_size() -> tar::Header {
    let mut header = Tar::header(EntryType::Regular, b"f", 5);
    header.set_size(u64::MAX / 2);
    header
}

fn own_attribute(path: &Path, name: &str) -> bool {
    rustix::fs::lgetxattr(path, name, [0; 64].as_mut_slice()).is_ok()
}

fn names() -> Vec<(&'static str, Tar, Fate)> {
    let deep = "d/".repeat(1900);
    vec![
        ("climbing", Tar::new().file("a/../../sentinel", b"evil"), Refused("outside")),
        ("climbing at once", Tar::new().file("../sentinel", b"evil"), Refused("outside")),
        ("climbing from the root", Tar::new().file("/../sentinel", b"evil"), Refused("outside")),
        (
            "climbing in a long name",
            Tar::new().pax(&[("path", b"../../sentinel")]).file("f", b"evil"),
            Refused("outside"),
        ),
        (
            "absolute",
            Tar::new().file("/etc/passwd", b"mine"),
            Harmless(|diff| assert_eq!(fs::read(diff.join("etc/passwd")).unwrap(), b"mine")),
        ),
        (
            "a name with an end in it",
            Tar::new().pax(&[("path", b"a\0b")]).file("f", b""),
            Refused("nvalid"),
        ),
        (
            "a name that is too long",
            Tar::new().pax(&[("path", "n".repeat(256).as_bytes())]).file("f", b""),
            Refused("name too long"),
        ),
        (
            "a path that is too long",
            Tar::new().pax(&[("path", "d/".repeat(2100).as_bytes())]).file("f", b""),
            Refused("name too long"),
        ),
        (
            "a path as long as paths can be",
            Tar::new().pax(&[("path", format!("{deep}f").as_bytes())]).file("f", b"deep"),
            Harmless(|diff| assert!(diff.join("d/d/d").exists())),
        ),
    ]
}

fn links() -> Vec<(&'static str, Tar, Fate)> {
    let link = |path, target| Tar::new().link(EntryType::Symlink, path, target);
    let hard = |path, target| Tar::new().link(EntryType::Link, path, target);
    vec![
        (
            "a link that leads out, and a file through it",
            link("out", "/../../../../../../tmp").file("out/hostile-layer", b"evil"),
            // `/tmp` of the layer is not there.
            Refused("out"),
        ),
        (
            "a link to the folder above, and a file through it",
            link("up", "..").file("up/sentinel", b"evil"),
            Harmless(|diff| assert_eq!(fs::read(diff.join("sentinel")).unwrap(), b"evil")),
        ),
        (
            "a link to itself, and a file through it",
            link("loop", "loop").file("loop/f", b"evil"),
            Refused("loop"),
        ),
        (
            "a file over a link",
            link("l", "/etc/passwd").file("l", b"evil"),
            Harmless(|diff| assert!(diff.join("l").symlink_metadata().unwrap().is_file())),
        ),
        ("a hard link to what is above", hard("h", "../sentinel"), Refused("h")),
        ("a hard link to what is not there", hard("h", "/etc/passwd"), Refused("h")),
        ("a hard link to the root", hard("h", "/"), Refused("h")),
        (
            "a hard link through a link",
            link("l", "/..").link(EntryType::Link, "h", "l/sentinel"),
            Refused("h"),
        ),
        (
            "a hard link to a link, and a file over it",
            link("l", "/../sentinel").link(EntryType::Link, "h", "l").file("h", b"evil"),
            Harmless(|diff| assert!(diff.join("h").symlink_metadata().unwrap().is_file())),
        ),
        ("a whiteout of the folder above", Tar::new().file("a/.wh...", b""), Refused("outside")),
        ("a whiteout of its own folder", Tar::new().file("a/.wh..", b""), Refused("outside")),
        ("a whiteout of nothing", Tar::new().file("a/.wh.", b""), Refused("outside")),
        (
            "a whiteout through a link",
            link("up", "/..").file("up/.wh.sentinel", b""),
            Harmless(|diff| {
                let hidden = fs::symlink_metadata(diff.join("sentinel")).unwrap();
                assert!(hidden.file_type().is_char_device());
            }),
        ),
        (
            "marks of other storage drivers",
            Tar::new().file(".wh..wh.aufs", b"").file("a/.wh..wh.orph", b""),
            Harmless(|diff| assert!(!diff.join(".wh..wh.aufs").exists())),
        ),
    ]
}

fn contents() -> Vec<(&'static str, Tar, Fate)> {
    let mut endless = Tar::header(EntryType::GNULongName, b"././@LongLink", 8 << 20);
    endless.set_mode(0);
    let many = (0..9000).map(|number| (format!("SCHILY.xattr.user.{number}"), [b'v'; 128]));
    let many: Vec<(String, [u8; 128])> = many.collect();
    let many: Vec<(&str, &[u8])> =
        many.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    let owner = |key: &'static str| Tar::new().pax(&[(key, b"4294967295")]).file("f", b"");
    vec![
        ("more promised than sent", Tar::new().add(long_size(), b"short"), Refused("f: ")),
        (
            "more promised than sent, in a PAX header",
            Tar::new().pax(&[("size", b"99999999")]).file("f", b"short"),
            Refused("nexpected"),
        ),
        ("a negative size", Tar::new().pax(&[("size", b"-1")]).file("f", b"x"), Refused("")),
        (
            "a sparse file larger than the disk",
            Tar::new().add(sparse(1 << 60), b"x"),
            Refused("No space"),
        ),
        (
            "a large sparse file",
            Tar::new().add(sparse(1 << 24), b"x"),
            Harmless(|diff| {
                let stat = fs::metadata(diff.join("sparse")).unwrap();
                assert_eq!(stat.len(), 1 << 24);
                assert!(stat.blocks() < 64, "{} blocks", stat.blocks());
            }),
        ),
        (
            "a name without an end",
            Tar::new().add(endless, &[b'a'; 8 << 20]),
            Refused("larger than"),
        ),
        ("attributes without an end", Tar::new().pax(&many).file("f", b""), Refused("larger than")),
        ("an owner that is nobody", owner("uid"), Refused("out of range")),
        ("a group that is nobody", owner("gid"), Refused("out of range")),
        (
            "overlay's own attributes",
            Tar::new()
                .pax(&[
                    ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
                    ("SCHILY.xattr.trusted.overlay.metacopy", b""),
                    ("SCHILY.xattr.user.kept", b"1"),
                ])
                .file("f", b""),
            Harmless(|diff| {
                assert!(!own_attribute(&diff.join("f"), "trusted.overlay.redirect"));
                assert!(!own_attribute(&diff.join("f"), "trusted.overlay.metacopy"));
                assert!(own_attribute(&diff.join("f"), "user.kept"));
            }),
        ),
        (
            "what may be there: a device, set-user-id, the same name twice",
            Tar::new()
                .add(device(EntryType::Block, b"sda", 8, 0), b"")
                .file("twice", b"first")
                .add(
                    {
                        let mut header = Tar::header(EntryType::Regular, b"twice", 4);
                        header.set_mode(0o6755);
                        header
                    },
                    b"last",
                ),
            Harmless(|diff| {
                let device = fs::symlink_metadata(diff.join("sda")).unwrap();
                assert!(device.file_type().is_block_device());
                assert_eq!(fs::read(diff.join("twice")).unwrap(), b"last");
                assert_eq!(fs::metadata(diff.join("twice")).unwrap().mode() & 0o7777, 0o6755);
            }),
        ),
    ]
}

/// A layer's way in; what it was unpacked to.
type Way = fn(&Store, &[u8]) -> Result<PathBuf, StoreError>;

fn pulled(store: &Store, tar: &[u8]) -> Result<PathBuf, StoreError> {
    let blob = gzip(tar);
    let size = blob.len() as u64;
    let expected = ExpectedLayer { blob: digest_of(&blob), size, diff_id: digest_of(tar) };
    let parts: Vec<io::Result<Bytes>> =
        blob.chunks(4000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    let layer = store.receive_layer(&expected, parts.into_iter())?;
    Ok(store.layout().layer_diff(&layer.diff_id))
}

fn imported(store: &Store, tar: &[u8]) -> Result<PathBuf, StoreError> {
    let layer = store.keep(&store.land(tar)?)?;
    Ok(store.layout().layer_diff(&layer.diff_id))
}

fn loaded(store: &Store, tar: &[u8]) -> Result<PathBuf, StoreError> {
    let images = load(store, &docker_archive(tar, &digest_of(tar), "evil:1"))?;
    Ok(store.layout().layer_diff(&images[0].record.layers[0]))
}

/// Every file below a folder that is not a layer's content.
pub(crate) fn left(folder: &Path) -> BTreeSet<PathBuf> {
    let mut left = BTreeSet::new();
    for name in ["tmp", "layers", "blobs/sha256", "quarantine"] {
        let entries = fs::read_dir(folder.join(name)).unwrap();
        left.extend(entries.map(|entry| entry.unwrap().path()));
    }
    left
}

#[test]
fn a_hostile_layer_is_refused_or_harmless_by_every_way_in() {
    let all = names().into_iter().chain(links()).chain(contents());
    let all: Vec<_> = all.map(|(name, tar, fate)| (name, tar.done(), fate)).collect();
    let ways: [(&str, Way); 3] = [("pull", pulled), ("import", imported), ("load", loaded)];
    for (way, take_in) in ways {
        let (folder, store) = store();
        let sentinel = folder.path().join("sentinel");
        fs::write(&sentinel, "untouched").unwrap();
        for (name, tar, fate) in &all {
            let what = format!("{name}, by {way}");
            let before = left(store.layout().root());
            match (fate, take_in(&store, tar)) {
                (Harmless(check), Ok(diff)) => {
                    check(&diff);
                    crate::trees::remove(&diff).unwrap();
                }
                (Refused(why), Err(error)) => {
                    let text = format!("{error}: {:?}", std::error::Error::source(&error));
                    assert!(text.contains(why), "{what}: {text}");
                    assert_eq!(left(store.layout().root()), before, "{what}");
                }
                (Harmless(_), Err(error)) => panic!("{what}: {error:?}"),
                (Refused(_), Ok(_)) => panic!("{what}: taken"),
            }
            assert_eq!(fs::read_to_string(&sentinel).unwrap(), "untouched", "{what}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "{what}");
            assert!(!Path::new("/tmp/hostile-layer").exists(), "{what}");
        }
    }
}
