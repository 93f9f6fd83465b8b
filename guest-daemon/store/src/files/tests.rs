//! What `docker cp` does with links, kinds and hostile archives.

mod hostile;

use std::fs;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use super::*;
use crate::tests::{Tar, gzip};

/// A container's root, in a folder where something outside of it can be seen to change.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["root/dest", "root/etc"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("root/etc/passwd"), "root").unwrap();
        fs::write(folder.path().join("sentinel"), "untouched").unwrap();
        Self { folder }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("root").join(inside)
    }

    fn root(&self) -> File {
        File::open(self.path("")).unwrap()
    }

    fn stat(&self, path: &str) -> io::Result<PathStat> {
        PathStat::of(self.root(), path)
    }

    fn extract_to(&self, path: &str, archive: &[u8], how: Extract) -> io::Result<()> {
        let destination = Destination::open(self.root(), path)?.ok_or(Errno::NOTDIR)?;
        let result = destination.extract(archive, how);
        let names: Vec<_> = fs::read_dir(self.folder.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 2, "something was made outside: {names:?}");
        let sentinel = fs::read(self.folder.path().join("sentinel")).unwrap();
        assert_eq!(sentinel, b"untouched");
        result
    }

    fn extract(&self, tar: Tar) -> io::Result<()> {
        self.extract_to("/dest", &tar.done(), Extract::default())
    }

    fn refused(&self, tar: Tar) -> String {
        self.extract(tar).unwrap_err().to_string()
    }

    /// Names, kinds and contents of what is packed.
    fn packed(&self, path: &str) -> Vec<(String, tar::EntryType, String)> {
        let mut bytes = Vec::new();
        Packing::open(self.root(), path).unwrap().write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            (name, entry.header().entry_type(), content)
        });
        entries.collect()
    }

    fn names(&self, path: &str) -> Vec<String> {
        self.packed(path).into_iter().map(|(name, _, _)| name).collect()
    }
}

#[test]
fn a_link_is_looked_at_itself_unless_a_slash_follows() {
    let world = World::new();
    symlink("/etc", world.path("link")).unwrap();
    let stat = world.stat("/link").unwrap();
    assert_eq!((stat.name.as_str(), stat.link_target.as_str()), ("link", "/etc"));
    assert_eq!(stat.mode & 0o170_000, 0o120_000);
    for path in ["/link/", "/link/.", "/link/../etc", "etc"] {
        let stat = world.stat(path).unwrap();
        assert_eq!(stat.mode & 0o170_000, 0o040_000, "{path}");
        assert_eq!(stat.link_target, "", "{path}");
    }
    assert_eq!(world.stat("/link/").unwrap().name, "link");
    assert_eq!(world.stat("/link/.").unwrap().name, ".");
    assert_eq!(world.stat("/").unwrap().name, "/");
    let error = world.stat("/etc/passwd/").unwrap_err();
    assert_eq!(error.to_string(), "lstat /etc/passwd/: not a directory");
    assert_eq!(world.stat("/nosuch").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_links_target_is_followed_to_its_end_within_the_container() {
    let world = World::new();
    for (target, link) in [
        ("two", "one"),
        ("/dest/three", "two"),
        ("../../../../etc/passwd", "dest/three"),
        ("/nowhere/at/all", "dangling"),
        ("round", "round"),
        ("../../../../sentinel", "out"),
    ] {
        symlink(target, world.path(link)).unwrap();
    }
    let target = |path: &str| world.stat(path).map(|stat| stat.link_target);
    assert_eq!(target("/one").unwrap(), "/etc/passwd");
    assert_eq!(target("/dest/three").unwrap(), "/etc/passwd");
    assert_eq!(target("/dangling").unwrap(), "/nowhere/at/all");
    assert_eq!(target("/out").unwrap(), "/sentinel");
    assert!(target("/round").unwrap_err().to_string().contains("too many links"));
}

#[test]
fn the_ending_of_a_path_says_what_the_archive_calls_it() {
    let world = World::new();
    symlink("etc", world.path("link")).unwrap();
    assert_eq!(world.names("/etc"), ["etc/", "etc/passwd"]);
    assert_eq!(world.names("/etc/"), ["etc/", "etc/passwd"]);
    assert_eq!(world.names("/etc/."), ["./", "./passwd"]);
    assert_eq!(world.names("/link/"), ["link/", "link/passwd"]);
    assert_eq!(world.names("etc/passwd"), ["passwd"]);
    assert_eq!(world.names("/")[..2], ["/", "/dest/"]);
    let link = world.packed("/link");
    assert_eq!((link[0].0.as_str(), link[0].1), ("link", tar::EntryType::Symlink));
}

#[test]
fn what_is_packed_can_be_unpacked_as_it_was() {
    let world = World::new();
    fs::create_dir(world.path("from")).unwrap();
    let long = "n".repeat(200);
    fs::write(world.path("from").join(&long), "long").unwrap();
    fs::hard_link(world.path("from").join(&long), world.path("from/again")).unwrap();
    symlink("t".repeat(150), world.path("from/link")).unwrap();
    let mode = Mode::from_raw_mode(0o600);
    let from = world.path("from");
    for (name, kind, device) in [
        ("null", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ("fifo", rustix::fs::FileType::Fifo, 0),
    ] {
        rustix::fs::mknodat(rustix::fs::CWD, from.join(name), kind, mode, device).unwrap();
    }
    drop(std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap());
    std::os::unix::fs::chown(from.join("fifo"), Some(3_000_000), Some(7)).unwrap();
    let mut archive = Vec::new();
    Packing::open(world.root(), "/from").unwrap().write(&mut archive).unwrap();
    world.extract_to("/dest", &archive, Extract::default()).unwrap();
    let copy = world.path("dest/from");
    assert_eq!(fs::read(copy.join(&long)).unwrap(), b"long");
    assert_eq!(fs::metadata(copy.join("again")).unwrap().nlink(), 2);
    assert_eq!(fs::read_link(copy.join("link")).unwrap(), Path::new(&"t".repeat(150)));
    let null = fs::metadata(copy.join("null")).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == rustix::fs::makedev(1, 3));
    let fifo = fs::metadata(copy.join("fifo")).unwrap();
    assert_eq!((fifo.uid(), fifo.gid()), (3_000_000, 7));
    assert!(!copy.join("socket").exists(), "sockets have no form in an archive");
}

#[test]
fn an_archive_is_unpacked_where_a_link_leads() {
    let world = World::new();
    symlink("/dest", world.path("link")).unwrap();
    let archive = Tar::new().file("f", b"1").done();
    world.extract_to("/link", &archive, Extract::default()).unwrap();
    assert!(world.path("dest/f").exists());
    assert!(Destination::open(world.root(), "/etc/passwd").unwrap().is_none());
    let missing = Destination::open(world.root(), "/nosuch").unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let open = Destination::open(world.root(), "/link/../link/.").unwrap().unwrap();
    assert_eq!(open.path(), Path::new("/dest"));
}

#[test]
fn a_link_that_was_there_is_followed_below_the_destination() {
    let world = World::new();
    fs::create_dir(world.path("run")).unwrap();
    fs::create_dir(world.path("var")).unwrap();
    symlink("/run", world.path("var/run")).unwrap();
    let archive = Tar::new().file("var/run/pid", b"1").done();
    world.extract_to("/", &archive, Extract::default()).unwrap();
    let archive = Tar::new().file("run/other", b"1").done();
    world.extract_to("/var", &archive, Extract::default()).unwrap();
    assert!(world.path("run/pid").exists() && world.path("run/other").exists());
}

#[test]
fn folders_and_files_replace_each_other_only_when_allowed() {
    let world = World::new();
    fs::create_dir_all(world.path("dest/folder/in")).unwrap();
    fs::write(world.path("dest/file"), "").unwrap();
    let keep = Extract { keep_kinds: true, ..Extract::default() };
    let file = Tar::new().file("folder", b"").done();
    let folder = Tar::new().folder("file/").done();
    let error = world.extract_to("/dest", &file, keep).unwrap_err().to_string();
    assert_eq!(error, "cannot overwrite directory \"/dest/folder\" with non-directory \"/dest\"");
    let error = world.extract_to("/dest", &folder, keep).unwrap_err().to_string();
    assert_eq!(error, "cannot overwrite non-directory \"/dest/file\" with directory \"/dest\"");
    world.extract_to("/dest", &file, Extract::default()).unwrap();
    world.extract_to("/dest", &folder, Extract::default()).unwrap();
    assert!(world.path("dest/folder").is_file() && world.path("dest/file").is_dir());
}

#[test]
fn owners_are_the_archives_or_those_asked_for() {
    let world = World::new();
    let mut header = Tar::header(tar::EntryType::Regular, b"f", 0);
    header.set_uid(7);
    header.set_gid(8);
    let archive = Tar::new().add(header, b"").done();
    let owner = |world: &World| {
        let stat = fs::metadata(world.path("dest/f")).unwrap();
        (stat.uid(), stat.gid())
    };
    world.extract_to("/dest", &archive, Extract::default()).unwrap();
    assert_eq!(owner(&world), (7, 8));
    let how = Extract { owner: Some((1000, 1001)), ..Extract::default() };
    world.extract_to("/dest", &archive, how).unwrap();
    assert_eq!(owner(&world), (1000, 1001));
}

#[test]
fn a_compressed_archive_is_unpacked() {
    let world = World::new();
    let plain = Tar::new().file("f", b"content").done();
    world.extract_to("/dest", &gzip(&plain), Extract::default()).unwrap();
    assert_eq!(fs::read(world.path("dest/f")).unwrap(), b"content");
}

#[test]
fn marks_of_layers_are_plain_files_here() {
    let world = World::new();
    world.extract(Tar::new().file(".wh.x", b"").file(".wh..wh..opq", b"")).unwrap();
    assert!(world.path("dest/.wh.x").is_file() && world.path("dest/.wh..wh..opq").is_file());
}
