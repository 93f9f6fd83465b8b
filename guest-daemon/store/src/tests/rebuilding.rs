//! The archive of a layer comes out as it came in, byte for byte, or not at all.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;

use tar::EntryType;

use super::{Tar, gzip, store};
use crate::objects::LayerRecord;
use crate::{Store, StoreError, digest_of};

fn unpacked(store: &Store, archive: &[u8]) -> LayerRecord {
    store.keep(&store.land(archive).unwrap()).unwrap()
}

fn again(store: &Store, layer: &LayerRecord) -> Result<Vec<u8>, StoreError> {
    let mut tar = Vec::new();
    let mut reader = store.open_tar(layer)?;
    reader.read_to_end(&mut tar).map_err(StoreError::io("read"))?;
    Ok(tar)
}

/// Content that is like no other, and larger than what is read at a time.
fn long(seed: u8) -> Vec<u8> {
    (0..200_000_u32).map(|number| (number * 7 / 3).to_le_bytes()[1] ^ seed).collect()
}

fn header(kind: EntryType, path: &[u8], size: u64) -> tar::Header {
    Tar::header(kind, path, size)
}

/// Zeros where the header has room for them.
fn blank(mut header: tar::Header) -> tar::Header {
    let old = header.as_old_mut();
    (old.uid, old.gid, old.mtime) = ([0; 8], [b' '; 8], [0; 12]);
    header
}

fn device() -> tar::Header {
    let mut header = header(EntryType::Char, b"device", 0);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    header
}

fn gnu_sparse(path: &[u8]) -> tar::Header {
    let mut header = header(EntryType::GNUSparse, path, 4);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 20);
    gnu.sparse[0].set_offset((1 << 20) - 4);
    gnu.sparse[0].set_length(4);
    header
}

fn long_names() -> Vec<u8> {
    let path = format!("{}/{}", "d".repeat(120), "f".repeat(130));
    let mut builder = tar::Builder::new(Vec::new());
    let mut file = header(EntryType::Regular, b"x", 5);
    builder.append_data(&mut file, &path, b"first".as_slice()).unwrap();
    let mut link = header(EntryType::Symlink, b"x", 0);
    builder.append_link(&mut link, "link", "t".repeat(300)).unwrap();
    builder.into_inner().unwrap()
}

/// Of a file that can be made in its folder, but has a longer path than calls take.
fn too_long() -> Vec<u8> {
    format!("{}{}", format!("{}/", "d".repeat(245)).repeat(16), "n".repeat(250)).into_bytes()
}

fn plain() -> Vec<(&'static str, Vec<u8>)> {
    let deep = "d/".repeat(1900);
    let mut link = header(EntryType::Symlink, b"l", 5);
    link.set_link_name_literal("d").unwrap();
    let map = [b"1\n8\n4\n".as_slice(), &[0; 506], b"tail"].concat();
    let sparse: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"data/sparse"),
        ("GNU.sparse.realsize", b"12"),
    ];
    vec![
        ("nothing at all", Vec::new()),
        ("no entry", Tar::new().done()),
        ("files", Tar::new().folder("bin/").file("bin/sh", b"#!").file("e", b"").done()),
        ("long files", Tar::new().file("a", &long(1)).file("b", &long(2)).done()),
        ("whole blocks", Tar::new().file("a", &[7; 512]).file("b", &[0; 1 << 20]).done()),
        ("long names", long_names()),
        (
            "long names in the other form",
            Tar::new().pax(&[("path", "n/".repeat(90).as_bytes())]).file("x", b"y").done(),
        ),
        (
            "names that are no text",
            Tar::new().add(header(EntryType::Regular, b"caf\xe9\xff", 1), b"x").done(),
        ),
        (
            "a name that cannot be opened at once",
            Tar::new().pax(&[("path", &too_long())]).file("x", b"y").done(),
        ),
        ("a deep name", Tar::new().pax(&[("path", deep.as_bytes())]).file("x", b"y").done()),
        (
            "attributes",
            Tar::new()
                .pax(&[("SCHILY.xattr.user.a", b"\0b"), ("mtime", b"1.5")])
                .file("f", b"x")
                .done(),
        ),
        (
            "headers that leave out what can be",
            Tar::new().add(blank(header(EntryType::Regular, b"./f", 3)), b"abc").done(),
        ),
        (
            "links",
            Tar::new()
                .file("a", b"content")
                .link(EntryType::Link, "b", "a")
                .link(EntryType::Symlink, "c", "/a")
                .done(),
        ),
        (
            "special files",
            Tar::new().add(header(EntryType::Fifo, b"pipe", 0), b"").add(device(), b"").done(),
        ),
        (
            "content of what has none",
            Tar::new()
                .add(header(EntryType::Directory, b"d/", 5), b"extra")
                .add(header(EntryType::Regular, b"old/", 5), b"style")
                .add(link, b"extra")
                .file(".", b"the root")
                .add(header(EntryType::new(b'V'), b"label", 700), &[3; 700])
                .done(),
        ),
        ("a hole", Tar::new().add(gnu_sparse(b"s"), b"tail").file("f", b"x").done()),
        ("a hole in the other form", Tar::new().pax(&sparse).file("s", &map).done()),
        (
            "whiteouts",
            Tar::new()
                .file("d/.wh.a", b"")
                .file("d/.wh.b", b"why")
                .file("d/.wh..wh..opq", b"")
                .done(),
        ),
        ("much after the end", [Tar::new().file("a", b"b").done(), vec![0; 9000]].concat()),
        ("anything after the end", [Tar::new().file("a", b"b").done(), long(3)].concat()),
        ("no end", Tar::new().file("a", &[1; 512]).done()[..1024].to_vec()),
    ]
}

/// Archives in which one entry takes the place of another.
fn replaced() -> Vec<(&'static str, Vec<u8>)> {
    let link = EntryType::Link;
    let symlink = EntryType::Symlink;
    vec![
        (
            "a file by a file",
            Tar::new().file("f", b"old").file("f", &long(1)).file("f", b"new").done(),
        ),
        ("by one that is the same", Tar::new().file("f", b"same").file("f", b"same").done()),
        ("by nothing", Tar::new().file("f", b"old").file("f", b"").done()),
        ("by a link", Tar::new().file("f", b"old").link(symlink, "f", "/g").file("g", b"x").done()),
        ("by a folder", Tar::new().file("f", b"old").folder("f/").file("f/a", b"new").done()),
        ("by a whiteout", Tar::new().file("f", b"old").file(".wh.f", b"").done()),
        (
            "a folder by a file, twice",
            Tar::new()
                .file("d/a/b", b"first")
                .file("d/c", b"second")
                .file("d", b"third")
                .file(".wh.d", b"")
                .folder("d/")
                .file("d/a/b", b"fourth")
                .done(),
        ),
        (
            "one that cannot be opened at once",
            Tar::new()
                .pax(&[("path", &too_long())])
                .file("x", b"old")
                .pax(&[("path", &too_long())])
                .file("x", b"new")
                .file(&"d".repeat(245)[..90], b"beside")
                .file(&format!(".wh.{}", "d".repeat(90)), b"")
                .pax(&[("path", "d".repeat(245).as_bytes())])
                .file("x", b"instead of all")
                .done(),
        ),
        (
            "one of two names",
            Tar::new()
                .file("a", b"content")
                .link(link, "b", "a")
                .file("a", b"another")
                .link(link, "c", "a")
                .file("b", b"a third")
                .file("c", b"a fourth")
                .done(),
        ),
        (
            "a link by a folder",
            Tar::new()
                .folder("usr/lib/")
                .link(symlink, "lib", "/usr/lib")
                .file("lib/a", b"through the link")
                .folder("lib/")
                .file("lib/a", b"in the folder")
                .file("usr/lib/a", b"by its own name")
                .done(),
        ),
        (
            "a link by another link",
            Tar::new()
                .file("one/f", b"one")
                .file("two/f", b"two")
                .link(symlink, "l", "one")
                .file("l/g", b"into one")
                .link(symlink, "l", "two")
                .file("l/g", b"into two")
                .file("l/f", b"instead of two")
                .done(),
        ),
    ]
}

#[test]
fn every_archive_comes_out_as_it_came_in() {
    let (_folder, store) = store();
    for (what, tar) in plain().into_iter().chain(replaced()) {
        let layer = unpacked(&store, &gzip(&tar));
        assert_eq!(
            (layer.diff_id.clone(), layer.tar_size),
            (digest_of(&tar), Some(tar.len() as u64))
        );
        assert!(again(&store, &layer).unwrap() == tar, "{what}");
        assert_eq!(fs::read_dir(store.layout().blobs()).unwrap().count(), 0, "{what}");
    }
}

#[test]
fn only_what_others_took_the_place_of_is_kept_beside_a_layer() {
    let (_folder, store) = store();
    for (what, tar) in plain() {
        let layer = unpacked(&store, &tar);
        assert!(!store.layout().layer_aside(&layer.diff_id).exists(), "{what}");
    }
    let (_, tar) = replaced().remove(0);
    let layer = unpacked(&store, &tar);
    assert_eq!(fs::read_dir(store.layout().layer_aside(&layer.diff_id)).unwrap().count(), 2);
    assert_eq!(fs::read(store.layout().layer_diff(&layer.diff_id).join("f")).unwrap(), b"new");
}

#[test]
fn a_record_takes_little_room() {
    let mut tar = Tar::new();
    for number in 0..2000 {
        tar = tar.file(&format!("usr/share/doc/package-{number}/copyright"), &[b'x'; 600]);
    }
    let (_folder, store) = store();
    let layer = unpacked(&store, &tar.done());
    let frame = fs::metadata(store.layout().layer_frame(&layer.diff_id)).unwrap().len();
    assert!(frame < 2000 * 24, "{frame} bytes for 2000 files");
}

/// What is done to a layer, and what is said of it then.
type Harm = (&'static str, fn(&Path), &'static str);

const HARMS: [Harm; 7] = [
    (
        "other content",
        |layer| fs::write(layer.join("diff/d/f"), b"Content").unwrap(),
        "d/f has changed since it was unpacked",
    ),
    (
        "more content",
        |layer| fs::write(layer.join("diff/d/f"), b"contents").unwrap(),
        "d/f has changed since it was unpacked",
    ),
    (
        "no content",
        |layer| fs::remove_file(layer.join("diff/d/f")).unwrap(),
        "d/f has changed since it was unpacked",
    ),
    (
        "a link out",
        |layer| {
            fs::remove_dir_all(layer.join("diff/d")).unwrap();
            fs::create_dir(layer.join("out")).unwrap();
            fs::write(layer.join("out/f"), b"content").unwrap();
            symlink("../out", layer.join("diff/d")).unwrap();
        },
        "d/f has changed since it was unpacked",
    ),
    (
        "a cut record",
        |layer| {
            let frame = fs::read(layer.join("frame")).unwrap();
            fs::write(layer.join("frame"), &frame[..frame.len() / 2]).unwrap();
        },
        "",
    ),
    ("no record", |layer| fs::remove_file(layer.join("frame")).unwrap(), "No such file"),
    (
        "another record",
        |layer| {
            let mut parts = crate::frame::MARK.to_vec();
            parts.extend([crate::frame::BYTES, 2, 0, 0, crate::frame::END]);
            fs::write(layer.join("frame"), zstd::encode_all(parts.as_slice(), 1).unwrap()).unwrap();
        },
        "the record of a layer's archive is damaged",
    ),
];

#[test]
fn what_has_changed_is_never_sent_whole() {
    for (what, harm, said) in HARMS {
        let (_folder, store) = store();
        let tar = Tar::new().file("a", b"b").file("d/f", b"content").done();
        let layer = unpacked(&store, &tar);
        harm(store.layout().layer_diff(&layer.diff_id).parent().unwrap());
        let mut sent = Vec::new();
        let mut read = || -> Result<(), StoreError> {
            let mut reader = store.open_tar(&layer)?;
            io::copy(&mut reader, &mut sent).map_err(StoreError::io("read"))?;
            Ok(())
        };
        let StoreError::Io { source, .. } = read().unwrap_err() else { panic!("{what}") };
        assert!(source.to_string().contains(said), "{what}: {source}");
        assert!(sent.len() < tar.len(), "{what}");
        let sink = |_| Ok(());
        assert!(store.send_layer(&layer, sink, |_| {}).is_err(), "{what}");
    }
}

#[test]
fn a_wrong_byte_that_no_checksum_covers_is_found_before_the_last_one() {
    let (_folder, store) = store();
    let tar = Tar::new().file("a", b"b").done();
    let layer = unpacked(&store, &tar);
    let path = store.layout().layer_frame(&layer.diff_id);
    let mut frame = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
    // The owner in the header.
    let place = frame.windows(5).position(|window| window == b"ustar").unwrap() - 257 + 108;
    frame[place] ^= 1;
    fs::write(&path, zstd::encode_all(frame.as_slice(), 1).unwrap()).unwrap();
    let mut sent = Vec::new();
    let failed = io::copy(&mut store.open_tar(&layer).unwrap(), &mut sent).unwrap_err();
    assert!(failed.to_string().contains("not what it was"), "{failed}");
    assert!(sent.len() < tar.len());
}

#[test]
fn a_damaged_record_is_read_or_refused() {
    let (_folder, store) = store();
    let tar = Tar::new().file("f", b"old").file("f", b"new").link(EntryType::Link, "g", "f").done();
    let layer = unpacked(&store, &tar);
    let path = store.layout().layer_frame(&layer.diff_id);
    let frame = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
    fuzz::rounds(&[frame], |bytes| {
        fs::write(&path, zstd::encode_all(bytes, 1).unwrap()).unwrap();
        if let Ok(sent) = again(&store, &layer) {
            assert!(sent == tar);
        }
    });
}
