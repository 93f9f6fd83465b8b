//! Archives and containers that want out.

use std::sync::atomic::{AtomicBool, Ordering};

use tar::EntryType;

use super::*;

#[test]
fn names_do_not_leave_the_destination() {
    for name in ["../f", "a/../../f", "/../f", "..", "./.././f"] {
        let world = World::new();
        let text = world.refused(Tar::new().file(name, b"x"));
        assert!(text.contains("is outside of \"/dest\""), "{name}: {text}");
    }
    let world = World::new();
    world.extract(Tar::new().file("/absolute", b"x").file("a/../b", b"x")).unwrap();
    assert!(world.path("dest/absolute").exists() && world.path("dest/b").exists());
}

#[test]
fn a_link_of_the_archive_is_no_way_out() {
    for target in ["/etc", "/", "/dest/../etc"] {
        let world = World::new();
        let tar = Tar::new().link(EntryType::Symlink, "l", target).file("l/passwd", b"evil");
        let text = world.refused(tar);
        assert!(text.contains("is outside of \"/dest\""), "{target}: {text}");
        assert_eq!(fs::read(world.path("etc/passwd")).unwrap(), b"root");
    }
    let world = World::new();
    let text = world.refused(Tar::new().link(EntryType::Symlink, "d/l", "../../etc"));
    assert_eq!(text, "invalid symlink \"/dest/d/l\" -> \"../../etc\"");
    // One that stays within is followed.
    let tar = Tar::new().folder("d/").link(EntryType::Symlink, "l", "d").file("l/f", b"x");
    world.extract(tar).unwrap();
    assert!(world.path("dest/d/f").exists());
}

#[test]
fn a_hard_link_is_to_something_of_the_destination() {
    for target in ["../etc/passwd", "../../sentinel", ".."] {
        let world = World::new();
        let tar = Tar::new().link(EntryType::Link, "h", target).file("h", b"evil");
        assert!(world.refused(tar).starts_with("invalid hardlink"), "{target}");
    }
    // Taken from the destination, it is not there.
    let world = World::new();
    let error = world.extract(Tar::new().link(EntryType::Link, "h", "/etc/passwd")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let tar = Tar::new()
        .link(EntryType::Symlink, "s", "/etc")
        .link(EntryType::Link, "h", "s/passwd")
        .file("h", b"evil");
    world.extract(tar).unwrap_err();
    assert_eq!(fs::read(world.path("etc/passwd")).unwrap(), b"root");
}

#[test]
fn a_file_replaces_a_link_and_never_writes_through_it() {
    let world = World::new();
    symlink("/etc/passwd", world.path("dest/f")).unwrap();
    fs::hard_link(world.path("etc/passwd"), world.path("dest/h")).unwrap();
    let tar = Tar::new().file("f", b"new").file("h", b"new").file("f", b"newer");
    world.extract(tar).unwrap();
    assert_eq!(fs::read(world.path("etc/passwd")).unwrap(), b"root");
    assert_eq!(fs::read(world.path("dest/f")).unwrap(), b"newer");
}

#[test]
fn a_name_with_a_zero_byte_is_refused_and_not_cut() {
    let world = World::new();
    let tar = Tar::new().pax(&[("path", b"f\0.txt")]).file("x", b"x");
    assert!(world.refused(tar).contains("invalid argument"));
    assert_eq!(fs::read_dir(world.path("dest")).unwrap().count(), 0);
}

#[test]
fn headers_are_not_read_without_end() {
    let world = World::new();
    let long = vec![b'x'; 2 << 20];
    let text = world.refused(Tar::new().pax(&[("comment", long.as_slice())]).file("f", b""));
    assert!(text.contains("headers of an entry are larger"), "{text}");
    let name = Tar::header(EntryType::GNULongName, b"././@LongLink", 3 << 20);
    let tar = Tar::new().add(name, &vec![b'n'; 3 << 20]).file("f", b"");
    assert!(world.refused(tar).contains("headers of an entry are larger"));
    // The allowance of one entry is not that of the next.
    let big = vec![0; 4 << 20];
    let tar = Tar::new().file("big", &big).pax(&[("comment", long.as_slice())]).file("f", b"");
    assert!(world.refused(tar).contains("headers of an entry are larger"));
}

#[test]
fn lies_about_sizes_end_with_the_archive() {
    let world = World::new();
    let tar = Tar::new().pax(&[("size", b"99999999999")]).file("f", b"short");
    world.extract(tar).unwrap_err();
    let mut header = Tar::header(EntryType::Regular, b"g", 5);
    header.set_size(u64::MAX / 2);
    let tar = Tar::new().add(header, b"short");
    world.extract(tar).unwrap_err();
    world.extract_to("/dest", b"not an archive at all", Extract::default()).unwrap_err();
}

#[test]
fn an_archive_deeper_than_paths_can_be_is_refused() {
    let world = World::new();
    let deep = "d/".repeat(4096);
    let text = world.refused(Tar::new().pax(&[("path", deep.as_bytes())]).folder("x/"));
    assert!(text.contains("file name too long"), "{text}");
}

#[test]
fn a_tree_deeper_than_descriptors_go_is_an_error_and_can_be_removed() {
    let world = World::new();
    let mut at = rustix::fs::open(world.path("dest"), OFlags::PATH, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o755)).unwrap();
        at = crate::beneath::open_entry(&at, Path::new("d"), OFlags::PATH).unwrap();
    }
    let packing = Packing::open(world.root(), "/dest").unwrap();
    let error = packing.write(io::sink()).unwrap_err();
    assert!(error.to_string().ends_with("is nested too deeply"), "{error}");
    assert_eq!(crate::trees::size(&world.path("dest")).unwrap(), 0);
    crate::trees::remove(&world.path("dest")).unwrap();
    assert!(!world.path("dest").exists());
}

#[test]
fn attributes_of_overlay_do_not_come_from_outside() {
    let world = World::new();
    let tar = Tar::new()
        .pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/etc"), ("SCHILY.xattr.user.a", b"1")])
        .folder("d/");
    world.extract(tar).unwrap();
    let mut value = [0; 16];
    let path = world.path("dest/d");
    let redirect = rustix::fs::getxattr(&path, "trusted.overlay.redirect", value.as_mut_slice());
    assert!(redirect.is_err());
    assert_eq!(rustix::fs::getxattr(&path, "user.a", value.as_mut_slice()).unwrap(), 1);
}

/// Somebody in the container exchanges a folder for a link, again and again.
fn while_swapping(world: &World, target: &Path, work: impl Fn()) {
    fs::create_dir(world.path("dest/real")).unwrap();
    symlink(target, world.path("dest/evil")).unwrap();
    let (real, evil) = (world.path("dest/real"), world.path("dest/evil"));
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when the work fails.
        let _end = AtEnd(&end);
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let cwd = rustix::fs::CWD;
                rustix::fs::renameat_with(cwd, &real, cwd, &evil, flags).unwrap();
            }
        });
        for _ in 0..2000 {
            work();
        }
    });
}

struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_folder_exchanged_for_a_link_lets_nothing_out_or_in() {
    let world = World::new();
    let outside = world.folder.path().to_owned();
    let archive = Tar::new().file("real/sentinel", b"evil").done();
    while_swapping(&world, &outside, || {
        drop(world.extract_to("/dest", &archive, Extract::default()));
        if let Ok(packing) = Packing::open(world.root(), "/dest/real/sentinel") {
            let mut bytes = Vec::new();
            packing.write(&mut bytes).unwrap();
            let leaked = bytes.windows(9).any(|window| window == b"untouched");
            assert!(!leaked, "the sentinel was read");
        }
    });
}
