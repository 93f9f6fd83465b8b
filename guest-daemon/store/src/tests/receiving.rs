//! Layers that come from a registry.

use std::fs;
use std::io;

use bytes::Bytes;
use tar::EntryType;

use super::{Tar, gzip, store};
use crate::digests::Digester;
use crate::{ExpectedLayer, Store, StoreError, digest_of};

fn expected(blob: &[u8], tar: &[u8]) -> ExpectedLayer {
    ExpectedLayer { blob: digest_of(blob), size: blob.len() as u64, diff_id: digest_of(tar) }
}

fn parts(blob: &[u8]) -> Vec<io::Result<Bytes>> {
    blob.chunks(700).map(|part| Ok(Bytes::copy_from_slice(part))).collect()
}

fn receive(store: &Store, blob: &[u8], tar: &[u8]) -> Result<String, StoreError> {
    let layer = store.receive_layer(&expected(blob, tar), parts(blob).into_iter())?;
    Ok(layer.diff_id)
}

fn layer() -> Vec<u8> {
    Tar::new().folder("etc/").file("etc/name", &[b'x'; 5000]).done()
}

/// Nothing half-made, nothing visible.
fn assert_empty(store: &Store) {
    for folder in [store.layout().temporary(), store.layout().layers(), store.layout().blobs()] {
        let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert!(left.is_empty(), "{}: {left:?}", folder.display());
    }
}

#[test]
fn a_layer_is_unpacked_and_not_kept_twice_however_it_is_compressed() {
    let tar = layer();
    for blob in [tar.clone(), gzip(&tar), [gzip(&tar[..512]), gzip(&tar[512..])].concat()] {
        let (_folder, store) = store();
        let diff_id = receive(&store, &blob, &tar).unwrap();
        let file = store.layout().layer_diff(&diff_id).join("etc/name");
        assert_eq!(fs::metadata(file).unwrap().len(), 5000);
        assert_eq!(fs::read_dir(store.layout().blobs()).unwrap().count(), 0);
        let layer = store.layer(&diff_id).unwrap().unwrap();
        assert_eq!((layer.blob, layer.blob_size), (digest_of(&blob), blob.len() as u64));
        assert_eq!(fs::read_dir(store.layout().temporary()).unwrap().count(), 0);
    }
    let (_folder, store) = store();
    let blob = zstd::encode_all(tar.as_slice(), 19).unwrap();
    receive(&store, &blob, &tar).unwrap();
}

#[test]
fn wrong_missing_and_superfluous_bytes_leave_nothing() {
    let (_folder, store) = store();
    let (tar, blob) = (layer(), gzip(&layer()));
    let wanted = expected(&blob, &tar);
    let other = gzip(&Tar::new().file("a", b"b").done());
    for sent in [&blob[..100], &[blob.clone(), vec![0]].concat(), &other, &[], &vec![0; blob.len()]]
    {
        let error = store.receive_layer(&wanted, parts(sent).into_iter()).unwrap_err();
        let text = format!("filesystem layer verification failed for digest {}", wanted.blob);
        assert_eq!(error.to_string(), text);
        assert_empty(&store);
    }
    let cut = parts(&blob).into_iter().take(1).chain([Err(io::ErrorKind::ConnectionReset.into())]);
    store.receive_layer(&wanted, cut).unwrap_err();
    assert_empty(&store);
}

#[test]
fn a_layer_is_checked_and_remembered_by_the_digest_that_it_is_asked_for_by() {
    let (tar, blob) = (layer(), gzip(&layer()));
    for algorithm in ["sha384", "sha512"] {
        let mut digester = Digester::like(&format!("{algorithm}:"));
        digester.update(&blob);
        let wanted = ExpectedLayer { blob: digester.digest(), ..expected(&blob, &tar) };
        let (_folder, store) = store();
        let mut other = blob.clone();
        // Of a gzip stream this byte says where it was made.
        other[9] ^= 1;
        let error = store.receive_layer(&wanted, parts(&other).into_iter()).unwrap_err();
        let text = format!("filesystem layer verification failed for digest {}", wanted.blob);
        assert_eq!(error.to_string(), text);
        assert_empty(&store);
        let layer = store.receive_layer(&wanted, parts(&blob).into_iter()).unwrap();
        store.note_claim(&layer.diff_id, "reg.lan/tool", &wanted.blob).unwrap();
        let layer = store.layer(&layer.diff_id).unwrap().unwrap();
        let known = store.known_blobs(&layer).unwrap().pop().unwrap();
        assert_eq!((known.repository.as_str(), known.digest), ("reg.lan/tool", wanted.blob));
        // What its blob was has no place on the disk that could be in the way of anything.
        store.remove_layers(&[layer.diff_id]).unwrap();
        assert_empty(&store);
    }
}

#[test]
fn a_layer_that_is_not_the_configurations_is_refused() {
    let (_folder, store) = store();
    let blob = gzip(&layer());
    let error = receive(&store, &blob, b"another tar").unwrap_err();
    assert_eq!(error.to_string(), "layers from manifest don't match image configuration");
    assert_empty(&store);
    let wanted = ExpectedLayer { diff_id: "sha256:../../x".into(), ..expected(&blob, &blob) };
    store.receive_layer(&wanted, parts(&blob).into_iter()).unwrap_err();
}

#[test]
fn names_without_an_end_are_refused_before_they_are_in_memory() {
    let (_folder, store) = store();
    let name = vec![b'a'; 8 << 20];
    let tar = Tar::new()
        .add(Tar::header(EntryType::GNULongName, b"././@LongLink", name.len() as u64), &name)
        .file("a", b"b")
        .done();
    let blob = gzip(&tar);
    let error = receive(&store, &blob, &tar).unwrap_err();
    let StoreError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("headers of an entry are larger"), "{source}");
    assert_empty(&store);
}

#[test]
fn a_stream_that_needs_too_much_memory_to_read_is_refused() {
    let (_folder, store) = store();
    let tar = Tar::new().file("a", &vec![7; 1 << 20]).done();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::Write::write_all(&mut encoder, &tar).unwrap();
    let blob = encoder.finish().unwrap();
    let error = receive(&store, &blob, &tar).unwrap_err();
    let StoreError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("too much memory"), "{source}");
    assert_empty(&store);
}

#[test]
fn the_same_layer_received_twice_at_once_is_kept_once() {
    let (_folder, store) = store();
    let (tar, blob) = (layer(), gzip(&layer()));
    std::thread::scope(|scope| {
        let both: Vec<_> =
            (0..4).map(|_| scope.spawn(|| receive(&store, &blob, &tar).unwrap())).collect();
        for one in both {
            assert_eq!(one.join().unwrap(), digest_of(&tar));
        }
    });
    assert_eq!(fs::read_dir(store.layout().layers()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(store.layout().temporary()).unwrap().count(), 0);
}
