//! Loading and saving.

use serde_json::json;

use super::{Tar, gzip, store, with_checksums};
use crate::archive_save::SavedName;
use crate::{ArchiveProgress, LoadedImage, SavedImage, Store, StoreError, blobs};

/// An archive of one image with one layer.
pub(crate) fn docker_archive(layer: &[u8], diff_id: &str, tag: &str) -> Vec<u8> {
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": null},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created_by": "ADD file"}],
    })
    .to_string();
    let manifest =
        json!([{"Config": "abc.json", "RepoTags": [tag], "Layers": ["1/layer.tar"]}]).to_string();
    Tar::new()
        .file("1/layer.tar", layer)
        .file("abc.json", config.as_bytes())
        .file("manifest.json", manifest.as_bytes())
        .done()
}

fn load(store: &Store, archive: &[u8]) -> Result<Vec<LoadedImage>, StoreError> {
    let spooled = store.spool_archive(archive)?;
    let loaded = store.load_archive(&spooled, "amd64", |_| {})?;
    let records: Vec<_> = loaded.iter().map(|image| image.record.clone()).collect();
    store.commit_images(&records, &[], &[])?;
    Ok(loaded)
}

fn layer() -> Vec<u8> {
    Tar::new().folder("bin/").file("bin/sh", b"#!").done()
}

#[test]
fn a_docker_archive_is_loaded_plain_or_compressed() {
    for pack in [
        |data: &[u8]| data.to_vec(),
        gzip as fn(&[u8]) -> Vec<u8>,
        |data: &[u8]| zstd::encode_all(data, 1).unwrap(),
    ] {
        let (_folder, store) = store();
        let archive = docker_archive(&layer(), &blobs::digest_of(&layer()), "busybox:latest");
        let loaded = load(&store, &pack(&archive)).unwrap();
        assert_eq!(loaded[0].names, ["busybox:latest"]);
        let diff = store.layout().layer_diff(&loaded[0].record.layers[0]);
        assert_eq!(std::fs::read(diff.join("bin/sh")).unwrap(), b"#!");
        assert_eq!(loaded[0].record.config.cmd, Some(vec!["sh".into()]));
        assert_eq!(std::fs::read_dir(store.layout().temporary()).unwrap().count(), 0);
    }
}

#[test]
fn a_layer_whose_content_is_not_what_the_configuration_says_is_refused() {
    let (_folder, store) = store();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let error = load(&store, &docker_archive(&layer(), &wrong, "a:1")).unwrap_err();
    assert!(matches!(error, StoreError::WrongDigest { .. }), "{error}");
    assert!(store.layers().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(store.layout().layers()).unwrap().count(), 0);
}

#[test]
fn a_layer_is_unpacked_once() {
    let (_folder, store) = store();
    let archive = docker_archive(&layer(), &blobs::digest_of(&layer()), "a:1");
    let mut steps = Vec::new();
    for _ in 0..2 {
        let spooled = store.spool_archive(archive.as_slice()).unwrap();
        store.load_archive(&spooled, "amd64", |step| steps.push(step)).unwrap();
    }
    assert_eq!(steps.len(), 2);
    assert!(matches!(steps[0], ArchiveProgress::Layer { current: 0, .. }));
}

#[test]
fn what_is_saved_can_be_loaded_elsewhere_with_the_same_ids() {
    let (_folder, first) = store();
    let packed = gzip(&layer());
    let archive = docker_archive(&packed, &blobs::digest_of(&layer()), "a:1");
    let loaded = load(&first, &archive).unwrap();
    let name = SavedName {
        familiar: "a:1".into(),
        canonical: "docker.io/library/a:1".into(),
        tag: "1".into(),
    };
    let image = SavedImage { record: loaded[0].record.clone(), names: vec![name] };
    let mut saved = Vec::new();
    first.save_archive(&[image], &mut saved).unwrap();
    let (_other_folder, second) = store();
    let again = load(&second, &saved).unwrap();
    assert_eq!(again[0].record.id, loaded[0].record.id);
    assert_eq!(again[0].names, ["a:1"]);
}

#[test]
fn an_oci_layout_is_loaded_and_its_digests_are_checked() {
    let (_folder, first) = store();
    let archive = docker_archive(&layer(), &blobs::digest_of(&layer()), "a:1");
    let loaded = load(&first, &archive).unwrap();
    let name = SavedName {
        familiar: "a:1".into(),
        canonical: "docker.io/library/a:1".into(),
        tag: "1".into(),
    };
    let image = SavedImage { record: loaded[0].record.clone(), names: vec![name] };
    let mut saved = Vec::new();
    first.save_archive(&[image], &mut saved).unwrap();
    let mut layout = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(saved.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        if entry.path_bytes().as_ref() != b"manifest.json" {
            let header = entry.header().clone();
            layout.append(&header, entry).unwrap();
        }
    }
    let (_other_folder, second) = store();
    let again = load(&second, &layout.into_inner().unwrap()).unwrap();
    assert_eq!(again[0].record.id, loaded[0].record.id);
    assert_eq!(again[0].names, ["docker.io/library/a:1"]);
}

#[test]
fn what_is_no_archive_of_images_is_refused() {
    let (_folder, store) = store();
    let error = load(&store, &layer()).unwrap_err();
    assert!(error.to_string().contains("manifest.json"), "{error}");
    assert!(load(&store, b"not a tar stream at all, but long enough to look").is_err());
}

#[test]
fn a_damaged_image_is_loaded_or_refused() {
    let layer = Tar::new().file("file", b"content").done();
    let archive = docker_archive(&layer, &blobs::digest_of(&layer), "a:1");
    let (_folder, store) = store();
    fuzz::rounds(&[archive, gzip(&layer)], |bytes| {
        if let Ok(spooled) = store.spool_archive(with_checksums(bytes).as_slice()) {
            drop(store.load_archive(&spooled, "amd64", |_| {}));
        }
    });
}
