//! Layers on their way to registries.

use std::fs;
use std::io::Read;

use super::{Tar, gzip, store};
use crate::database::{Change, Table};
use crate::objects::{CompressedRecord, KnownBlob, LayerRecord, VERSION};
use crate::{Store, digest_of};

const GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

fn layer() -> Vec<u8> {
    Tar::new().folder("etc/").file("etc/name", &[b'x'; 5000]).done()
}

fn unpacked(store: &Store, archive: &[u8]) -> LayerRecord {
    store.keep(&store.land(archive).unwrap()).unwrap()
}

/// The same layer as stores from before frames have it.
fn from_before(store: &Store, archive: &[u8]) -> LayerRecord {
    let LayerRecord { diff_id, size, .. } = unpacked(store, archive);
    fs::remove_file(store.layout().layer_frame(&diff_id)).unwrap();
    let (blob, blob_size) = (store.put_blob(archive).unwrap(), archive.len() as u64);
    let repositories = vec!["reg.lan/old".to_owned()];
    let layer = LayerRecord {
        version: VERSION,
        diff_id,
        size,
        blob,
        blob_size,
        repositories,
        ..LayerRecord::default()
    };
    keep(store, &layer);
    layer
}

fn keep(store: &Store, layer: &LayerRecord) {
    let change = Change::put(Table::Layers, &layer.diff_id, layer).unwrap();
    store.metadata().apply(&[change]).unwrap();
}

fn sent(store: &Store, layer: &LayerRecord) -> Vec<u8> {
    let (mut sent, mut read) = (Vec::new(), 0);
    let sink = |part: bytes::Bytes| {
        sent.extend_from_slice(&part);
        Ok(())
    };
    let told = store.send_layer(layer, sink, |bytes| read = bytes).unwrap();
    assert_eq!((told.digest, told.size), (digest_of(&sent), sent.len() as u64));
    assert_eq!(read, layer.read_size());
    sent
}

fn decompressed(sent: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(sent).read_to_end(&mut tar).unwrap();
    tar
}

fn known(store: &Store, layer: &LayerRecord) -> Vec<KnownBlob> {
    let layer = store.layer(&layer.diff_id).unwrap().unwrap();
    store.known_blobs(&layer).unwrap()
}

#[test]
fn what_is_sent_is_the_layers_archive_compressed() {
    for archive in [layer(), gzip(&layer()), zstd::encode_all(layer().as_slice(), 1).unwrap()] {
        let (_folder, store) = store();
        let layer_record = unpacked(&store, &archive);
        assert_eq!(decompressed(&sent(&store, &layer_record)), layer());
    }
}

#[test]
fn how_a_layer_came_is_remembered_where_registries_know_such() {
    for (archive, media_type) in [
        (gzip(&layer()), GZIP),
        (
            zstd::encode_all(layer().as_slice(), 1).unwrap(),
            "application/vnd.oci.image.layer.v1.tar+zstd",
        ),
    ] {
        let (_folder, store) = store();
        let blob = KnownBlob {
            repository: String::new(),
            digest: digest_of(&archive),
            size: archive.len() as u64,
            media_type: media_type.to_owned(),
        };
        let layer = unpacked(&store, &archive);
        assert_eq!(known(&store, &layer), [blob]);
    }
    let (_folder, store) = store();
    let plain = unpacked(&store, &layer());
    assert!(known(&store, &plain).is_empty());
}

#[test]
fn a_registry_is_believed_to_have_only_what_was_seen_to_be_the_layer() {
    let (_folder, store) = store();
    let archive = gzip(&layer());
    let layer = unpacked(&store, &archive);
    store.note_claim(&layer.diff_id, "reg.lan/evil", &digest_of(b"something else")).unwrap();
    assert_eq!(known(&store, &layer).len(), 1);
    store.note_claim(&layer.diff_id, "reg.lan/tool", &digest_of(&archive)).unwrap();
    let told = known(&store, &layer).pop().unwrap();
    assert_eq!((told.repository.as_str(), told.digest), ("reg.lan/tool", digest_of(&archive)));
    assert_eq!(told.media_type, GZIP);
}

#[test]
fn what_is_known_of_a_layer_is_bounded() {
    let (_folder, store) = store();
    let layer = unpacked(&store, &layer());
    let at = |number: usize| KnownBlob {
        repository: format!("reg.lan/{number}"),
        digest: digest_of(b"blob"),
        size: 4,
        media_type: GZIP.to_owned(),
    };
    for number in 0..20 {
        store.note_blob(&layer.diff_id, &at(number)).unwrap();
    }
    store.note_blob(&layer.diff_id, &at(10)).unwrap();
    let all = known(&store, &layer);
    assert_eq!((all.len(), all.last().unwrap()), (16, &at(10)));
}

#[test]
fn a_layer_from_before_is_sent_and_saved_as_it_is_kept_and_goes_with_its_blob() {
    let (folder, first) = store();
    let archive = gzip(&layer());
    let layer_record = from_before(&first, &archive);
    assert_eq!(sent(&first, &layer_record), archive);
    let mut tar = Vec::new();
    first.open_tar(&layer_record).unwrap().read_to_end(&mut tar).unwrap();
    assert_eq!(tar, layer());
    let all = known(&first, &layer_record);
    let told: Vec<_> = all.iter().map(|blob| (&*blob.repository, &*blob.digest)).collect();
    let digest = digest_of(&archive);
    assert_eq!(told, [("", &*digest), ("reg.lan/old", &*digest)]);
    let blob = first.layout().blob(&layer_record.blob);
    assert!(blob.exists());
    first.remove_layers(std::slice::from_ref(&layer_record.diff_id)).unwrap();
    assert!(!blob.exists());
    drop((first, folder));
}

#[test]
fn what_a_layer_from_before_was_compressed_to_is_known() {
    let (_folder, store) = store();
    let mut layer = from_before(&store, &layer());
    let compressed = CompressedRecord { digest: digest_of(b"compressed"), size: 10 };
    layer.compressed = Some(compressed.clone());
    keep(&store, &layer);
    let told = known(&store, &layer).pop().unwrap();
    assert_eq!((told.repository.as_str(), told.digest), ("reg.lan/old", compressed.digest));
}
