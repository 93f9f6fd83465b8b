//! What containers changed, as a list and as streams.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};

use super::{store, unpack};
use crate::{ChangeKind, Store};

/// A store with a container, and a folder that stands for its image.
struct World {
    _folder: tempfile::TempDir,
    store: Store,
    lower: PathBuf,
    upper: PathBuf,
}

impl World {
    fn new() -> Self {
        let (folder, store) = store();
        store.create_container_folder("c1").unwrap();
        let lower = folder.path().join("lower");
        for name in ["etc", "gone/deep", "same"] {
            fs::create_dir_all(lower.join(name)).unwrap();
        }
        for name in ["etc/passwd", "etc/group", "gone/deep/f", "same/f", "top"] {
            fs::write(lower.join(name), "old").unwrap();
        }
        let upper = store.layout().container_file("c1", "upper");
        Self { _folder: folder, store, lower, upper }
    }

    /// As overlay does it before something in the folder is changed.
    fn copy_up(&self, folder: &str) {
        fs::create_dir_all(self.upper.join(folder)).unwrap();
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.upper.join(path), content).unwrap();
    }

    fn whiteout(&self, path: &str) {
        let path = self.upper.join(path);
        rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    }

    fn opaque(&self, path: &str) {
        let (path, flags) = (self.upper.join(path), XattrFlags::empty());
        rustix::fs::setxattr(path, "trusted.overlay.opaque", b"y", flags).unwrap();
    }

    fn changes(&self) -> Vec<String> {
        let changes =
            self.store.container_changes("c1", std::slice::from_ref(&self.lower)).unwrap();
        let letter = |kind| match kind {
            ChangeKind::Modified => "C",
            ChangeKind::Added => "A",
            ChangeKind::Deleted => "D",
        };
        changes
            .iter()
            .map(|change| format!("{} {}", letter(change.kind), change.path.display()))
            .collect()
    }

    fn exported(&self) -> tempfile::TempDir {
        let mut bytes = Vec::new();
        let layers = std::slice::from_ref(&self.lower);
        self.store.export_container("c1", layers, &mut bytes).unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(bytes.as_slice(), folder.path()).unwrap();
        folder
    }

    fn change_everything(&self) {
        self.copy_up("etc");
        self.write("etc/passwd", "longer");
        self.write("etc/new", "1");
        self.whiteout("etc/group");
        self.whiteout("gone");
        self.copy_up("same");
        self.opaque("same");
        self.write("same/other", "1");
    }
}

#[test]
fn changes_are_listed_with_the_folders_they_are_in() {
    let world = World::new();
    assert!(world.changes().is_empty());
    world.change_everything();
    assert_eq!(
        world.changes(),
        [
            "C /etc",
            "D /etc/group",
            "A /etc/new",
            "C /etc/passwd",
            "D /gone",
            "C /same",
            "D /same/f",
            "A /same/other",
        ]
    );
}

#[test]
fn a_folder_that_is_only_passed_through_is_no_change() {
    let world = World::new();
    world.copy_up("etc");
    assert!(world.changes().is_empty(), "{:?}", world.changes());
    fs::set_permissions(
        world.upper.join("etc"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    assert_eq!(world.changes(), ["C /etc"]);
}

#[test]
fn kinds_that_replace_each_other_are_one_change() {
    let world = World::new();
    world.write("gone", "now a file");
    world.copy_up("top/in");
    world.opaque("top");
    world.copy_up("new/in");
    world.write("new/in/f", "");
    world.whiteout("never-there");
    assert_eq!(
        world.changes(),
        ["C /gone", "A /new", "A /new/in", "A /new/in/f", "C /top", "A /top/in"]
    );
}

#[test]
fn an_opaque_folder_hides_what_is_below_its_folders_too() {
    let world = World::new();
    world.copy_up("gone/deep");
    world.opaque("gone");
    assert_eq!(world.changes(), ["C /gone", "C /gone/deep", "D /gone/deep/f"]);
}

#[test]
fn an_export_has_what_the_container_sees() {
    let world = World::new();
    fs::hard_link(world.lower.join("top"), world.lower.join("same/top")).unwrap();
    symlink("top", world.lower.join("link")).unwrap();
    world.change_everything();
    let root = world.exported();
    let read = |path: &str| fs::read_to_string(root.path().join(path)).ok();
    assert_eq!(read("etc/passwd").as_deref(), Some("longer"));
    assert_eq!(read("top").as_deref(), Some("old"));
    for gone in ["etc/group", "gone", "same/f", "same/top"] {
        assert!(!root.path().join(gone).exists(), "{gone}");
    }
    assert_eq!(fs::read_link(root.path().join("link")).unwrap(), Path::new("top"));
}

#[test]
fn a_layer_of_a_container_is_what_it_changed() {
    let world = World::new();
    assert!(world.store.spool_container("c1").unwrap().is_empty_layer());
    world.change_everything();
    fs::hard_link(world.upper.join("etc/new"), world.upper.join("etc/newer")).unwrap();
    let spooled = world.store.spool_container("c1").unwrap();
    assert!(!spooled.is_empty_layer());
    let layer = world.store.keep(&world.store.land_spooled(&spooled).unwrap()).unwrap();
    let diff = world.store.layout().layer_diff(&layer.diff_id);
    let whiteout = fs::symlink_metadata(diff.join("etc/group")).unwrap();
    assert_eq!((whiteout.mode() & 0o170_000, whiteout.rdev()), (0o020_000, 0));
    let mut value = [0; 4];
    let same = diff.join("same");
    let length =
        rustix::fs::getxattr(same, "trusted.overlay.opaque", value.as_mut_slice()).unwrap();
    assert_eq!(&value[..length], b"y");
    assert_eq!(fs::metadata(diff.join("etc/newer")).unwrap().nlink(), 2);
    let names: Vec<String> = tar::Archive::new(world.store.open_tar(&layer).unwrap())
        .entries()
        .unwrap()
        .map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "etc/",
            "etc/.wh.group",
            "etc/new",
            "etc/newer",
            "etc/passwd",
            ".wh.gone",
            "same/",
            "same/.wh..wh..opq",
            "same/other",
        ]
    );
}

#[test]
fn a_file_that_shrinks_while_it_is_packed_is_filled_up() {
    let world = World::new();
    world.write("f", "12345");
    let entry = crate::beneath::open_entry(
        crate::trees::open_directory(&world.upper).unwrap(),
        Path::new("f"),
        rustix::fs::OFlags::PATH,
    )
    .unwrap();
    let stat = rustix::fs::fstat(&entry).unwrap();
    world.write("f", "1");
    let mut bytes = Vec::new();
    let mut archive = crate::tar_write::TarWriter::new(&mut bytes);
    archive.add(b"f", &entry, &stat).unwrap();
    archive.finish().unwrap();
    let mut content = Vec::new();
    let mut archive = tar::Archive::new(bytes.as_slice());
    archive.entries().unwrap().next().unwrap().unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, b"1\0\0\0\0");
}
