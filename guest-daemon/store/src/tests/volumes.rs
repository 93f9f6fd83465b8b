//! Filling volumes from images.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::{Tar, store, unpack};
use crate::objects::VolumeRecord;

fn layers(folder: &Path, tars: Vec<Tar>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (number, tar) in tars.into_iter().enumerate() {
        let path = folder.join(format!("layer{number}"));
        fs::create_dir(&path).unwrap();
        unpack(tar.done().as_slice(), &path).unwrap();
        paths.insert(0, path);
    }
    paths
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_empty_volume_is_filled_with_what_the_image_shows() {
    let (folder, store) = store();
    let mut data = Tar::header(tar::EntryType::Directory, b"srv/data/", 0);
    data.set_mode(0o700);
    data.set_uid(33);
    let bottom = Tar::new()
        .add(data, b"")
        .file("srv/data/old", b"1")
        .file("srv/data/gone", b"2")
        .file("srv/data/sub/hidden", b"3");
    let top = Tar::new()
        .file("srv/data/.wh.gone", b"")
        .file("srv/data/old", b"newer")
        .file("srv/data/sub/.wh..wh..opq", b"")
        .file("srv/data/sub/shown", b"4");
    let layers = layers(folder.path(), vec![bottom, top]);
    symlink("/srv", layers[0].join("alias")).unwrap();
    let record = VolumeRecord { name: "v".into(), ..Default::default() };
    store.create_volume(&record).unwrap();
    store.copy_into_volume("v", &layers, Path::new("/alias/data")).unwrap();
    let data = store.layout().volume_data("v");
    assert_eq!(names(&data), ["old", "sub"]);
    assert_eq!(names(&data.join("sub")), ["shown"]);
    assert_eq!(fs::read(data.join("old")).unwrap(), b"newer");
}

#[test]
fn the_folder_itself_takes_the_images_owner_and_mode() {
    let (folder, store) = store();
    let mut data = Tar::header(tar::EntryType::Directory, b"data/", 0);
    data.set_mode(0o2750);
    data.set_uid(33);
    let layers = layers(folder.path(), vec![Tar::new().add(data, b"")]);
    store.create_volume(&VolumeRecord { name: "v".into(), ..Default::default() }).unwrap();
    store.copy_into_volume("v", &layers, Path::new("/data")).unwrap();
    let stat = fs::metadata(store.layout().volume_data("v")).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.uid()), (0o2750, 33));
}

#[test]
fn a_volume_that_has_something_is_left_alone() {
    let (folder, store) = store();
    let layers = layers(folder.path(), vec![Tar::new().file("data/image", b"")]);
    store.create_volume(&VolumeRecord { name: "v".into(), ..Default::default() }).unwrap();
    let data = store.layout().volume_data("v");
    fs::write(data.join("mine"), b"").unwrap();
    store.copy_into_volume("v", &layers, Path::new("/data")).unwrap();
    assert_eq!(names(&data), ["mine"]);
    store.remove_volume("v").unwrap();
    assert!(!data.exists());
}
