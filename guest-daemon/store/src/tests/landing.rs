//! Layers that are unpacked as they come.

use std::fs;

use super::hostile::left;
use super::images::{Only, docker_archive, load};
use super::{Tar, gzip, store};
use crate::{Store, digest_of};

fn layer() -> Vec<u8> {
    Tar::new().folder("bin/").file("bin/sh", b"#!").done()
}

/// A tar whose second entry leads out of it.
fn broken() -> Vec<u8> {
    Tar::new().file("good", b"x").file("../bad", b"x").done()
}

/// What an archive's layer is while nobody has understood the archive.
fn arrived(store: &Store) -> Vec<&'static str> {
    let found = fs::read_dir(store.layout().temporary()).unwrap();
    let mut kinds: Vec<_> = found
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.join("diff/bin/sh").exists() { "unpacked" } else { "written" })
        .collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn a_layers_tar_is_unpacked_before_its_image_is_known() {
    let (_folder, store) = store();
    for (layer, kinds) in [
        (layer(), ["unpacked", "written", "written"]),
        (gzip(&layer()), ["written", "written", "written"]),
    ] {
        let archive = docker_archive(&layer, &digest_of(&super::landing::layer()), "a:1");
        let spooled = store.spool_archive(archive.as_slice()).unwrap();
        assert_eq!(arrived(&store), kinds);
        assert!(store.layers().unwrap().is_empty());
        drop(spooled);
        assert!(arrived(&store).is_empty());
    }
}

#[test]
fn a_layer_that_is_here_is_not_unpacked_again() {
    let (_folder, store) = store();
    store.keep(&store.land(layer().as_slice()).unwrap()).unwrap();
    let name = format!("blobs/{}", digest_of(&layer()).replace(':', "/"));
    let archive = Tar::new().pax(&[("path", name.as_bytes())]).file("blob", &layer()).done();
    let spooled = store.spool_archive(archive.as_slice()).unwrap();
    assert_eq!(arrived(&store), ["written"]);
    drop(spooled);
}

#[test]
fn what_looks_like_a_layer_and_is_none_matters_only_to_its_image() {
    let (_folder, store) = store();
    let wanted = docker_archive(&broken(), &digest_of(&broken()), "a:1");
    let error = load(&store, &wanted).unwrap_err().to_string();
    assert!(error.contains("1/layer.tar: ") && error.contains("outside"), "{error}");
    assert!(left(store.layout().root()).is_empty());

    let mut beside = Tar::new().file("other.tar", &broken()).done();
    beside.truncate(beside.len() - 1024);
    beside.extend(docker_archive(&layer(), &digest_of(&layer()), "a:1"));
    assert_eq!(load(&store, &beside).unwrap()[0].names, ["a:1"]);
    assert!(arrived(&store).is_empty());
}

#[test]
fn a_tar_is_no_document() {
    let (_folder, store) = store();
    let archive = Tar::new().file("manifest.json", &layer()).done();
    let spooled = store.spool_archive(archive.as_slice()).unwrap();
    let error = spooled.images(&Only("amd64")).unwrap_err();
    assert_eq!(error.to_string(), "manifest.json is no document");
}

#[test]
fn a_stream_lands_whatever_it_is_packed_with_and_what_is_not_kept_goes() {
    for (stream, media_type) in [
        (layer(), ""),
        (gzip(&layer()), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (zstd::encode_all(&*layer(), 1).unwrap(), "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        let (_folder, store) = store();
        drop(store.land(stream.as_slice()).unwrap());
        assert!(arrived(&store).is_empty());
        let record = store.keep(&store.land(stream.as_slice()).unwrap()).unwrap();
        assert_eq!(record.diff_id, digest_of(&layer()));
        assert_eq!((record.blob, record.blob_size), (digest_of(&stream), stream.len() as u64));
        assert_eq!(record.blob_type, media_type);
    }
}
