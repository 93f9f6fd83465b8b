//! A corpus of layers that mean harm. Each names a file `hostile-…` where it would like to write,
//! so that one look finds whatever came out.

use anyhow::{Context, Result};
use tar::EntryType;

/// A layer that has to be refused, and a part of the complaint.
#[derive(Debug)]
pub struct Layer {
    pub tries: &'static str,
    pub content: Vec<u8>,
    pub why: &'static str,
}

/// All of them.
pub fn layers() -> Result<Vec<Layer>> {
    let mut all = names()?;
    all.extend(links()?);
    all.extend(sizes()?);
    Ok(all)
}

fn names() -> Result<Vec<Layer>> {
    let file = |path: &str| Tar::new().file(path, b"evil");
    let long = |path: &[u8]| Tar::new().pax(&[("path", path)])?.file("f", b"evil");
    Ok(vec![
        of("climbing", file("a/../../hostile-1")?, "outside"),
        of("climbing from the root", file("/../hostile-2")?, "outside"),
        of("climbing in a long name", long(b"../../hostile-3")?, "outside"),
        of("a name with an end in it", long(b"hostile\0b")?, "nvalid"),
        of("a name that is too long", long("n".repeat(256).as_bytes())?, "name too long"),
        of("a path that is too long", long("d/".repeat(2100).as_bytes())?, "name too long"),
        of("a whiteout of the folder above", file("a/.wh...")?, "outside"),
    ])
}

fn links() -> Result<Vec<Layer>> {
    let link = |path, target| Tar::new().link(EntryType::Symlink, path, target);
    let hard = |path, target| Tar::new().link(EntryType::Link, path, target);
    let out = link("out", "/../../../../../../tmp")?.file("out/hostile-4", b"evil")?;
    let round = link("loop", "loop")?.file("loop/hostile-5", b"evil")?;
    let through = link("l", "/..")?.link(EntryType::Link, "h", "l/hostile-6")?;
    Ok(vec![
        of("a file through a link that leads out", out, "out"),
        of("a file through a link to itself", round, "loop"),
        of("a hard link to what is above", hard("h", "../metadata.redb")?, "h"),
        of("a hard link to the machine's own", hard("h", "/etc/passwd")?, "h"),
        of("a hard link through a link", through, "h"),
    ])
}

fn sizes() -> Result<Vec<Layer>> {
    let mut long = Tar::header(EntryType::Regular, b"f", 5);
    long.set_size(u64::MAX / 2);
    let mut sparse = Tar::header(EntryType::GNUSparse, b"sparse", 1);
    let gnu = sparse.as_gnu_mut().context("no header of GNU tar")?;
    gnu.set_real_size(1 << 60);
    gnu.sparse[0].set_offset((1 << 60) - 1);
    gnu.sparse[0].set_length(1);
    let endless = Tar::header(EntryType::GNULongName, b"././@LongLink", 8 << 20);
    let endless = Tar::new().add(endless, &vec![b'a'; 8 << 20])?;
    let owner = Tar::new().pax(&[("uid", b"4294967295")])?.file("f", b"")?;
    let promised = Tar::new().pax(&[("size", b"99999999")])?.file("f", b"short")?;
    Ok(vec![
        of("more promised than sent", Tar::new().add(long, b"short")?, "f: "),
        of("more promised in a PAX header", promised, "nexpected"),
        of("a negative size", Tar::new().pax(&[("size", b"-1")])?.file("f", b"x")?, ""),
        of("a sparse file larger than the disk", Tar::new().add(sparse, b"x")?, "o space"),
        of("a name without an end", endless, "larger than"),
        of("an owner that is nobody", owner, "out of range"),
    ])
}

fn of(tries: &'static str, tar: Tar, why: &'static str) -> Layer {
    Layer { tries, content: tar.0, why }
}

/// Entries as nobody writes them, and therefore by hand.
struct Tar(Vec<u8>);

impl Tar {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn header(kind: EntryType, path: &[u8], size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header
    }

    fn add(mut self, mut header: tar::Header, content: &[u8]) -> Result<Self> {
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        Ok(self)
    }

    fn file(self, path: &str, content: &[u8]) -> Result<Self> {
        let header = Self::header(EntryType::Regular, path.as_bytes(), content.len() as u64);
        self.add(header, content)
    }

    fn link(self, kind: EntryType, path: &str, target: &str) -> Result<Self> {
        let mut header = Self::header(kind, path.as_bytes(), 0);
        header.set_link_name_literal(target)?;
        self.add(header, b"")
    }

    fn pax(self, extensions: &[(&str, &[u8])]) -> Result<Self> {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions(extensions.iter().copied())?;
        // Without the two empty blocks of its end.
        let mut own = builder.into_inner()?;
        own.truncate(own.len() - 1024);
        Ok(Self([self.0, own].concat()))
    }
}
