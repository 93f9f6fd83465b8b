//! Opening after damage and after crashes.

use std::fs;

use super::store;
use crate::Store;
use crate::database::{Change, Table};
use crate::objects::{ContainerRecord, VolumeRecord};

#[test]
fn a_record_that_cannot_be_read_is_set_aside() {
    let (_folder, store) = store();
    store.put_container(&ContainerRecord { id: "good".into(), ..Default::default() }).unwrap();
    let broken = Change::Put(Table::Containers, "bad".into(), b"{".to_vec());
    store.metadata().apply(&[broken]).unwrap();
    let containers = store.containers().unwrap();
    assert_eq!(containers.len(), 1);
    assert!(store.layout().quarantine().join("containers-bad").exists());
    assert_eq!(store.containers().unwrap().len(), 1);
}

#[test]
fn a_damaged_metadata_file_does_not_stop_the_opening() {
    let (folder, first) = store();
    let root = folder.path().join("root");
    drop(first);
    fs::write(root.join("metadata.redb"), b"garbage, and quite a lot of it").unwrap();
    let second = Store::open(&root).unwrap();
    assert!(second.containers().unwrap().is_empty());
    assert!(root.join("quarantine/metadata.redb").exists());
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let (folder, first) = store();
    let root = folder.path().join("root");
    first.put_container(&ContainerRecord { id: "kept".into(), ..Default::default() }).unwrap();
    first.create_container_folder("kept").unwrap();
    first.create_container_folder("leftover").unwrap();
    fs::create_dir_all(root.join("tmp/layer-0/diff")).unwrap();
    fs::create_dir_all(root.join("layers/0123/diff/x")).unwrap();
    drop(first);
    let second = Store::open(&root).unwrap();
    assert!(second.layout().container("kept").exists());
    assert!(!second.layout().container("leftover").exists());
    assert!(!root.join("layers/0123").exists());
    assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_volume_whose_removal_was_cut_off_does_not_come_back() {
    let (folder, first) = store();
    let root = folder.path().join("root");
    let volume = VolumeRecord { name: "v".into(), going: true, ..Default::default() };
    first.create_volume(&volume).unwrap();
    fs::write(first.layout().volume_data("v").join("secret"), "old").unwrap();
    let kept = VolumeRecord { name: "kept".into(), ..Default::default() };
    first.create_volume(&kept).unwrap();
    assert_eq!(first.volumes().unwrap(), std::slice::from_ref(&kept));
    drop(first);
    let second = Store::open(&root).unwrap();
    assert!(!root.join("volumes/v").exists());
    assert_eq!(second.volumes().unwrap(), [kept]);
    second.create_volume(&VolumeRecord { name: "v".into(), ..Default::default() }).unwrap();
    assert_eq!(fs::read_dir(second.layout().volume_data("v")).unwrap().count(), 0);
    second.remove_volume("v").unwrap();
    assert!(!root.join("volumes/v").exists());
    second.remove_volume("v").unwrap();
}

#[test]
fn what_was_put_is_there_after_opening_again() {
    let (folder, first) = store();
    let volume = VolumeRecord { name: "v".into(), created: 5, ..Default::default() };
    first.create_volume(&volume).unwrap();
    first.put_fact("id", "abc").unwrap();
    drop(first);
    let second = Store::open(&folder.path().join("root")).unwrap();
    assert_eq!(second.volumes().unwrap(), [volume]);
    assert_eq!(second.fact("id").unwrap().as_deref(), Some("abc"));
}

#[test]
fn layers_that_nothing_stands_on_are_removed_at_the_next_opening() {
    let (folder, first) = store();
    let archive = super::Tar::new().file("f", b"x").done();
    let layer = first.keep(&first.land(archive.as_slice()).unwrap()).unwrap();
    let path = first.layout().layer_diff(&layer.diff_id);
    assert!(path.join("f").exists());
    drop(first);
    let second = Store::open(&folder.path().join("root")).unwrap();
    assert!(second.layers().unwrap().is_empty());
    assert!(!path.exists());
}
