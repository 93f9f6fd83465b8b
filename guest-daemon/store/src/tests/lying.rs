//! Archives of images that lie, that can be read in two ways, or that ask for too much.

use std::fs;

use serde_json::json;
use tar::EntryType;

use super::hostile::left;
use super::images::{Only, docker_archive, load};
use super::{Tar, store};
use crate::{StoreError, digest_of};

/// An OCI layout of an image, with each document as given.
fn oci(index: &str, manifest: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let blob = |bytes: &[u8]| format!("blobs/{}", digest_of(bytes).replace(':', "/"));
    let mut tar = Tar::new()
        .pax(&[("path", blob(manifest.as_bytes()).as_bytes())])
        .file("manifest", manifest.as_bytes())
        .file("index.json", index.as_bytes());
    for (_, content) in more {
        tar = tar.pax(&[("path", blob(content).as_bytes())]).file("blob", content);
    }
    tar.done()
}

#[test]
fn a_layout_that_lies_or_can_be_read_in_two_ways_is_refused() {
    let layer = Tar::new().file("f", b"x").done();
    let config = json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(&layer)]}})
    .to_string();
    let (of_config, of_layer) = (digest_of(config.as_bytes()), digest_of(&layer));
    let config_part = format!(r#""config":{{"digest":"{of_config}","size":{}}}"#, config.len());
    let layers = format!(r#""layers":[{{"digest":"{of_layer}","size":{}}}]"#, layer.len());
    let index_type = "application/vnd.oci.image.index.v1+json";
    let image_type = "application/vnd.oci.image.manifest.v1+json";
    let other = format!("sha256:{}", "0".repeat(64));
    for (manifest, why) in [
        (format!("{{{config_part},{layers}}}"), ""),
        (format!("{{{config_part},{layers},\"manifests\":[]}}"), "ambiguous"),
        (format!("{{{layers},\"manifests\":[]}}"), "ambiguous"),
        (format!("{{\"mediaType\":\"{index_type}\",{config_part},{layers}}}"), "ambiguous"),
        (format!("{{\"mediaType\":\"{image_type}\",\"manifests\":[]}}"), "ambiguous"),
        (format!("{{{config_part},{layers},{layers}}}"), "duplicate field"),
        (format!("{{{config_part},\"layers\":[]}}"), "layers length mismatch"),
        (format!("{{{config_part},{}}}", layers.replace(&of_layer, &other)), "has no file"),
        (format!("{{{config_part},{}}}", layers.replace("sha256", "md5")), "no digest"),
        (format!("{{{config_part},{}}}", layers.replace("size\":", "size\":1")), "bytes, not"),
        (format!("{{{config_part},{}}}", layers.replace("size\":", "size\":-")), "invalid"),
    ] {
        let of_manifest = digest_of(manifest.as_bytes());
        let index = format!(r#"{{"manifests":[{{"digest":"{of_manifest}"}}]}}"#);
        let archive =
            oci(&index, &manifest, &[("config", config.as_bytes()), ("layer", layer.as_slice())]);
        let (_folder, store) = store();
        match load(&store, &archive) {
            Ok(images) => assert!(why.is_empty() && images.len() == 1, "{manifest}"),
            Err(error) => {
                assert!(!why.is_empty() && error.to_string().contains(why), "{manifest}: {error}");
                assert!(left(store.layout().root()).is_empty(), "{manifest}");
            }
        }
    }
}

#[test]
fn content_that_is_not_what_its_name_says_is_refused() {
    let manifest = "{}";
    let index = format!(r#"{{"manifests":[{{"digest":"{}"}}]}}"#, digest_of(b"another"));
    let path = format!("blobs/{}", digest_of(b"another").replace(':', "/"));
    let tar = Tar::new()
        .pax(&[("path", path.as_bytes())])
        .file("blob", manifest.as_bytes())
        .file("index.json", index.as_bytes());
    let (_folder, store) = store();
    let error = load(&store, &tar.done()).unwrap_err();
    assert!(matches!(error, StoreError::WrongDigest { .. }), "{error}");
}

#[test]
fn documents_that_would_fill_the_memory_are_refused() {
    let many = format!("[{}{{}}]", "{},".repeat(200_000));
    let large = format!("[\"{}\"]", "x".repeat(9 << 20));
    for (manifest, why) in [(many, "too many parts"), (large, "too large")] {
        let (_folder, store) = store();
        let archive = Tar::new().file("manifest.json", manifest.as_bytes()).done();
        let error = load(&store, &archive).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(left(store.layout().root()).is_empty());
    }
}

#[test]
fn the_last_file_of_a_name_counts_and_the_others_are_given_back() {
    let layer = Tar::new().file("f", b"x").done();
    let tar = Tar::new().file("manifest.json", b"[]").file("manifest.json", b"nonsense");
    let mut archive = tar.done();
    archive.truncate(archive.len() - 1024);
    archive.extend(docker_archive(&layer, &digest_of(&layer), "a:1"));
    let (_folder, store) = store();
    let spooled = store.spool_archive(archive.as_slice()).unwrap();
    assert_eq!(fs::read_dir(store.layout().temporary()).unwrap().count(), 3);
    assert_eq!(spooled.images(&Only("amd64")).unwrap()[0].names, ["a:1"]);
    drop(spooled);
    assert!(left(store.layout().root()).is_empty());
}

#[test]
fn an_archive_of_more_files_than_images_have_is_refused() {
    let long = "n".repeat(400 << 10);
    let mut tar = Tar::new();
    for number in 0..12 {
        let target = format!("{long}{number}");
        tar = tar.pax(&[("path", target.as_bytes()), ("linkpath", target.as_bytes())]);
        tar = tar.link(EntryType::Symlink, "l", "t");
    }
    let (_folder, store) = store();
    let error = load(&store, &tar.done()).unwrap_err();
    assert!(error.to_string().contains("too many files"), "{error}");
}
