//! Trees of any form go: what replaces one in a layer, and what is removed.

use std::fs;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;

use tar::EntryType;

use super::{Tar, store};
use crate::trees;

const STEP: usize = 1000;

/// Folders in each other, deeper than any path can name: each link leads to where the last one
/// ended. There is content at the bottom and on the way.
fn deep(depth: usize) -> Tar {
    let step = "d/".repeat(STEP);
    let mut tar = Tar::new();
    for number in 0..depth / STEP {
        let above = if number == 0 { String::new() } else { format!("l{number}/") };
        let (path, link) = (format!("{above}{step}"), format!("l{}", number + 1));
        tar = tar
            .pax(&[("path", path.as_bytes())])
            .folder("x/")
            .pax(&[("path", format!("{path}f").as_bytes())])
            .file("x", format!("content {number}").as_bytes())
            .pax(&[("linkpath", path.as_bytes())])
            .link(EntryType::Symlink, &link, "x");
    }
    tar
}

#[test]
fn what_takes_the_place_of_the_deepest_tree_is_there_and_the_archive_is_whole() {
    for (what, tar) in [
        ("a file", deep(5000).file("d", b"instead")),
        (
            "a whiteout, and a file further down",
            deep(5000).file("d/d", b"instead").file(".wh.d", b""),
        ),
    ] {
        let (_folder, store) = store();
        let tar = tar.done();
        let layer = store.keep(&store.land(tar.as_slice()).unwrap()).unwrap();
        let place = store.layout().layer_diff(&layer.diff_id).join("d");
        let found = fs::symlink_metadata(&place).unwrap().file_type();
        assert!(found.is_file() || found.is_char_device(), "{what}");
        let mut again = Vec::new();
        store.open_tar(&layer).unwrap().read_to_end(&mut again).unwrap();
        assert!(again == tar, "{what}");
        store.remove_layers(std::slice::from_ref(&layer.diff_id)).unwrap();
        assert_eq!(fs::read_dir(store.layout().temporary()).unwrap().count(), 0, "{what}");
    }
}

#[test]
fn as_many_folders_as_one_likes_are_removed_at_any_depth() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().join("top");
    fs::create_dir_all(top.join("d/".repeat(80))).unwrap();
    let deep = top.join("d/".repeat(63));
    // If each looked for a free name from the first on, that alone would take a minute.
    for number in 0..5000 {
        fs::create_dir(deep.join(number.to_string())).unwrap();
    }
    fs::create_dir(top.join(".lifted-3")).unwrap();
    fs::write(top.join(".lifted-4"), "").unwrap();
    trees::remove(&top).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
