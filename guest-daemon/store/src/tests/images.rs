//! Loading and saving.

use serde_json::json;

use super::{Tar, gzip, store, with_checksums};
use crate::archive_save::SavedName;
use crate::digests::{Digester, digest_of};
use crate::objects::ImageRecord;
use crate::{ArchivePlatform, ArchivedImage, Choice, SavedImage, Store, StoreError};

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

/// Images of this architecture.
pub(crate) struct Only(pub(crate) &'static str);

impl Choice for Only {
    fn among(&self, platforms: &[ArchivePlatform]) -> Option<usize> {
        platforms.iter().position(|one| one.architecture.is_empty() || one.architecture == self.0)
    }

    fn wants(&self, image: &ImageRecord) -> bool {
        image.architecture == self.0
    }
}

pub(crate) fn load(store: &Store, archive: &[u8]) -> Result<Vec<ArchivedImage>, StoreError> {
    load_for("amd64", store, archive)
}

fn load_for(
    architecture: &'static str,
    store: &Store,
    archive: &[u8],
) -> Result<Vec<ArchivedImage>, StoreError> {
    let spooled = store.spool_archive(archive)?;
    let loaded = spooled.images(&Only(architecture))?;
    for image in &loaded {
        store.load_layers(&spooled, image, &mut |_| {})?;
        store.keep_archived(&spooled, image)?;
    }
    let records: Vec<_> = loaded.iter().map(|image| image.record.clone()).collect();
    store.commit_images(&records, &[], &[])?;
    Ok(loaded)
}

fn saved_image(store: &Store, image: &ArchivedImage, name: SavedName) -> SavedImage {
    let record = image.record.clone();
    let document = store.image_document(&record.id).unwrap();
    SavedImage { record, names: vec![name], document }
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
        let archive = docker_archive(&layer(), &digest_of(&layer()), "busybox:latest");
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
    let found = digest_of(&layer());
    let text = format!("invalid diffID for layer 0: expected {wrong:?}, got {found:?}");
    assert_eq!(error.to_string(), text);
    assert!(store.layers().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(store.layout().layers()).unwrap().count(), 0);
}

#[test]
fn a_layer_is_unpacked_once() {
    let (_folder, store) = store();
    let archive = docker_archive(&layer(), &digest_of(&layer()), "a:1");
    let mut steps = Vec::new();
    for _ in 0..2 {
        let spooled = store.spool_archive(archive.as_slice()).unwrap();
        let image = &spooled.images(&Only("amd64")).unwrap()[0];
        store.load_layers(&spooled, image, &mut |step| steps.push(step)).unwrap();
    }
    assert_eq!((steps[0].current, steps[0].total), (0, layer().len() as u64));
    let last = steps.last().unwrap();
    assert_eq!(
        (steps.iter().filter(|step| step.current == 0).count(), last.current),
        (1, last.total)
    );
}

#[test]
fn what_is_saved_can_be_loaded_elsewhere_with_the_same_ids() {
    let (_folder, first) = store();
    let packed = gzip(&layer());
    let archive = docker_archive(&packed, &digest_of(&layer()), "a:1");
    let loaded = load(&first, &archive).unwrap();
    let name = SavedName {
        familiar: "a:1".into(),
        canonical: "docker.io/library/a:1".into(),
        tag: "1".into(),
    };
    let image = saved_image(&first, &loaded[0], name);
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
    let archive = docker_archive(&layer(), &digest_of(&layer()), "a:1");
    let loaded = load(&first, &archive).unwrap();
    let name = SavedName {
        familiar: "a:1".into(),
        canonical: "docker.io/library/a:1".into(),
        tag: "1".into(),
    };
    let image = saved_image(&first, &loaded[0], name);
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

/// An OCI layout: what `index` makes of the manifests' digests for amd64 and arm64.
fn layout(index: impl FnOnce(&str, &str, &mut Vec<Vec<u8>>) -> serde_json::Value) -> Vec<u8> {
    layout_in("sha256", index)
}

fn digest_in(algorithm: &str, content: &[u8]) -> String {
    let mut digester = Digester::like(&format!("{algorithm}:"));
    digester.update(content);
    digester.digest()
}

/// The same with digests of another algorithm.
fn layout_in(
    algorithm: &str,
    index: impl FnOnce(&str, &str, &mut Vec<Vec<u8>>) -> serde_json::Value,
) -> Vec<u8> {
    let digest = |content: &[u8]| digest_in(algorithm, content);
    let (mut blobs, mut manifests) = (vec![gzip(&layer())], Vec::new());
    for architecture in ["amd64", "arm64"] {
        let diff_id = digest_of(&layer());
        let config = json!({
            "architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "config": {"digest": digest(&config)},
            "layers": [{"digest": digest(&blobs[0])}],
        });
        let manifest = manifest.to_string().into_bytes();
        manifests.push(digest(&manifest));
        blobs.extend([config, manifest]);
    }
    let index = index(&manifests[0], &manifests[1], &mut blobs).to_string();
    let mut archive = Tar::new().file("index.json", index.as_bytes());
    for blob in blobs {
        let name = format!("blobs/{}", digest(&blob).replace(':', "/"));
        archive = archive.pax(&[("path", name.as_bytes())]).file("blob", &blob);
    }
    archive.done()
}

fn entry(digest: &str, architecture: &str) -> serde_json::Value {
    json!({"digest": digest, "platform": {"os": "linux", "architecture": architecture}})
}

#[test]
fn of_an_image_for_several_platforms_the_wanted_one_is_loaded() {
    let nested = layout(|amd, arm, blobs| {
        let mut attestation = entry(arm, "unknown");
        attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let all = json!({"manifests": [attestation, entry(arm, "arm64"), entry(amd, "amd64")]});
        blobs.push(all.to_string().into_bytes());
        let name = json!({"io.containerd.image.name": "docker.io/library/a:1"});
        let digest = digest_of(blobs.last().unwrap());
        json!({"manifests": [{"digest": digest, "annotations": name}]})
    });
    let flat = layout(|amd, arm, _| {
        let name = json!({"org.opencontainers.image.ref.name": "docker.io/library/a:1"});
        let mut entries = [entry(arm, "arm64"), entry(amd, "amd64")];
        for entry in &mut entries {
            entry["annotations"] = name.clone();
        }
        json!({"manifests": entries})
    });
    for archive in [nested, flat] {
        for architecture in ["amd64", "arm64"] {
            let (_folder, store) = store();
            let loaded = load_for(architecture, &store, &archive).unwrap();
            assert_eq!(loaded.len(), 1);
            assert_eq!(loaded[0].record.architecture, architecture);
            assert_eq!(loaded[0].names, ["docker.io/library/a:1"]);
        }
        let (_folder, store) = store();
        assert!(load_for("s390x", &store, &archive).unwrap().is_empty());
    }
}

#[test]
fn a_layout_may_have_digests_of_every_algorithm_and_each_is_checked() {
    let only_amd =
        |amd: &str, _: &str, _: &mut Vec<Vec<u8>>| json!({"manifests": [entry(amd, "amd64")]});
    let usual = load(&store().1, &layout(only_amd)).unwrap()[0].record.id.clone();
    for algorithm in ["sha384", "sha512"] {
        let (_folder, first) = store();
        let loaded = load(&first, &layout_in(algorithm, only_amd)).unwrap();
        assert_eq!(loaded[0].record.id, usual, "what it is has nothing to do with the layout");
        let sh = first.layout().layer_diff(&digest_of(&layer())).join("bin/sh");
        assert_eq!(std::fs::read(sh).unwrap(), b"#!");

        let (_folder, second) = store();
        let archive = layout_in(algorithm, only_amd);
        let layer = gzip(&layer());
        let at = archive.windows(layer.len()).position(|window| window == layer).unwrap();
        let mut other = archive;
        // Of a gzip stream this byte says where it was made.
        other[at + 9] ^= 1;
        let Err(StoreError::WrongDigest { expected, .. }) = load(&second, &other) else {
            panic!("a layer that was not checked, with {algorithm}")
        };
        assert_eq!(expected, digest_in(algorithm, &layer));
        assert_eq!(std::fs::read_dir(second.layout().temporary()).unwrap().count(), 0);
    }
}

#[test]
fn layers_of_old_archives_may_be_links() {
    let diff_id = digest_of(&layer());
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id, diff_id]},
    });
    let layers = ["1/layer.tar", "2/layer.tar", "3/layer.tar"];
    let manifest = json!([{"Config": "c.json", "RepoTags": null, "Layers": layers}]);
    let archive = Tar::new()
        .file("1/layer.tar", &layer())
        .link(tar::EntryType::Symlink, "2/layer.tar", "../1/layer.tar")
        .link(tar::EntryType::Link, "3/layer.tar", "2/layer.tar")
        .file("c.json", config.to_string().as_bytes())
        .file("manifest.json", manifest.to_string().as_bytes())
        .done();
    let (_folder, store) = store();
    assert_eq!(load(&store, &archive).unwrap()[0].record.layers.len(), 3);
}

#[test]
fn of_two_entries_with_one_name_the_last_counts_whatever_they_are() {
    let archive = |tar: Tar| {
        let diff_id = digest_of(&layer());
        let config = json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let manifest = json!([{"Config": "c.json", "RepoTags": null, "Layers": ["l.tar"]}]);
        tar.file("c.json", config.to_string().as_bytes())
            .file("manifest.json", manifest.to_string().as_bytes())
            .done()
    };
    let symlink = tar::EntryType::Symlink;
    let both = Tar::new().file("right.tar", &layer()).file("wrong.tar", b"");
    let link_last = both.file("l.tar", b"").link(symlink, "l.tar", "right.tar");
    let both = Tar::new().file("right.tar", &layer()).file("wrong.tar", b"");
    let file_last = both.link(symlink, "l.tar", "wrong.tar").file("l.tar", &layer());
    for tar in [link_last, file_last] {
        let (_folder, store) = store();
        assert_eq!(load(&store, &archive(tar)).unwrap()[0].record.layers.len(), 1);
    }
}

#[test]
fn what_an_archive_lacks_is_told_and_nothing_stays() {
    let (_folder, store) = store();
    let diff_id = digest_of(&layer());
    let with = |manifest: &str, os: &str| {
        let config = json!({"os": os, "architecture": "amd64", "rootfs": {"diff_ids": [diff_id]}});
        Tar::new()
            .file("c.json", config.to_string().as_bytes())
            .file("manifest.json", manifest.as_bytes())
            .done()
    };
    let whole = r#"[{"Config":"c.json","Layers":["l.tar"]}]"#;
    for (archive, message) in [
        (with("null", "linux"), "invalid manifest, manifest cannot be null (but can be [])"),
        (with(whole, "windows"), "cannot load windows image on linux"),
        (with(whole, "linux"), "the archive has no file l.tar"),
        (
            with(r#"[{"Config":"c.json","Layers":[]}]"#, "linux"),
            "invalid manifest, layers length mismatch: expected 0, got 1",
        ),
        (with(r#"[{"Config":"../c","Layers":[]}]"#, "linux"), "invalid path ../c in manifest.json"),
    ] {
        assert_eq!(load(&store, &archive).unwrap_err().to_string(), message);
    }
    assert_eq!(std::fs::read_dir(store.layout().temporary()).unwrap().count(), 0);
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
    let archive = docker_archive(&layer, &digest_of(&layer), "a:1");
    let (_folder, store) = store();
    fuzz::rounds(&[archive, gzip(&layer)], |bytes| {
        if let Ok(spooled) = store.spool_archive(with_checksums(bytes).as_slice()) {
            for image in spooled.images(&Only("amd64")).unwrap_or_default() {
                drop(store.load_layers(&spooled, &image, &mut |_| {}));
            }
        }
    });
}
