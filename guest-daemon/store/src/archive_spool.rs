//! An archive on the disk, not yet understood, as its index may come last: its files are written
//! down as they come. What looks like a layer's tar is unpacked at once, so that its bytes are
//! neither written nor read twice.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::Store;
use crate::blobs::Digesting;
use crate::compression;
use crate::container_archive;
use crate::digests::{self, Digester};
use crate::error::{Result, StoreError, with_causes};
use crate::landing::Landed;
use crate::tar_entry::{Kind, Meta};
use crate::{beneath, documents, tar_read};

/// The largest images have some hundred.
const MOST_FILES: usize = 64 * 1024;
/// Bytes of their names, which stay in memory.
const NAMES: usize = 8 << 20;

/// Files of an archive. They are removed with the value.
#[derive(Debug, Default)]
pub struct Spooled {
    files: BTreeMap<String, File>,
    /// What looked like a tar, and why it is none: that matters only if it is asked for.
    refused: BTreeMap<String, String>,
    /// Old archives link equal layers.
    links: BTreeMap<String, String>,
    /// Bytes of all names.
    names: usize,
}

#[derive(Debug)]
pub(crate) struct File {
    pub content: Content,
    /// `sha256:…`
    pub digest: String,
    pub size: u64,
    /// Its digests of other algorithms that were asked for.
    others: Mutex<Vec<String>>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Written(PathBuf),
    Unpacked(Landed),
}

impl File {
    fn new(content: Content, digest: String, size: u64) -> Self {
        Self { content, digest, size, others: Mutex::default() }
    }

    /// Its digest in the algorithm of another. Only an index that comes last may tell which one is
    /// meant, so the file is read again for it, but once.
    pub(crate) fn digest_like(&self, other: &str) -> Result<String> {
        let is_alike =
            |known: &String| digests::algorithm_of(known) == digests::algorithm_of(other);
        if is_alike(&self.digest) {
            return Ok(self.digest.clone());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.iter().find(|known| is_alike(known)) {
            return Ok(known.clone());
        }
        let Content::Written(place) = &self.content else {
            let text = format!("a layer's tar that is known by sha256 only is meant by {other}");
            return Err(StoreError::Invalid(text));
        };
        let reading = || StoreError::io("read an archive's file");
        let mut file = std::fs::File::open(place).map_err(reading())?;
        let mut digesting = Digesting::new(io::sink(), Digester::like(other));
        io::copy(&mut file, &mut digesting).map_err(reading())?;
        let found = digesting.digest();
        others.push(found.clone());
        Ok(found)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Content::Written(place) = &self.content {
            drop(std::fs::remove_file(place));
        }
    }
}

impl Store {
    /// Writes an archive's files to the disk. The stream may be compressed.
    pub fn spool_archive(&self, reader: impl Read + Send) -> Result<Spooled> {
        let receive = || StoreError::io("read the archive");
        let reader = compression::decompress(reader).map_err(receive())?;
        let (mut spooled, mut failure) = (Spooled::default(), None);
        let read = tar_read::each(reader, |entry, meta| {
            self.receive(&mut spooled, entry, meta).map_err(|error| {
                failure = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        match failure {
            Some(error) => Err(error),
            None => read.map(|()| spooled).map_err(receive()),
        }
    }

    fn receive(&self, spooled: &mut Spooled, mut entry: impl Read, meta: &Meta) -> Result<()> {
        let Some(path) = beneath::clean(&meta.path) else {
            return Err(StoreError::Invalid("the archive has a path outside of it".into()));
        };
        // What is no text cannot be meant by the documents.
        let Ok(name) = path.into_os_string().into_string() else { return Ok(()) };
        spooled.names += name.len() + meta.link.len();
        let files = spooled.files.len() + spooled.refused.len() + spooled.links.len();
        if files >= MOST_FILES || spooled.names > NAMES {
            return Err(StoreError::Invalid("the archive has too many files".into()));
        }
        // Of two with one name the last counts, whatever they are.
        match meta.kind {
            Kind::File => {
                spooled.forget(&name);
                match self.receive_file(&name, &mut entry)? {
                    Ok(file) => drop(spooled.files.insert(name, file)),
                    Err(why) => {
                        spooled.names += why.len();
                        spooled.refused.insert(name, why);
                    }
                }
            }
            Kind::Symlink => {
                let above = Path::new(&name).parent().unwrap_or(Path::new(""));
                let link = Path::new(std::str::from_utf8(&meta.link).unwrap_or_default());
                let target = above.join(link);
                spooled.link(name, target.as_os_str().as_encoded_bytes());
            }
            Kind::HardLink => spooled.link(name, &meta.link),
            Kind::Folder | Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Skip => {}
        }
        Ok(())
    }

    /// A file, or why it is none although it began as a tar.
    fn receive_file(
        &self,
        name: &str,
        entry: &mut impl Read,
    ) -> Result<std::result::Result<File, String>> {
        let mut first = Vec::new();
        entry
            .take(tar_read::BLOCK)
            .read_to_end(&mut first)
            .map_err(StoreError::io("receive an archive"))?;
        if !tar_read::is_header(&first) || self.is_better_written(name)? {
            let (place, digest, size) = self.spool(&mut first.chain(entry))?;
            return Ok(Ok(File::new(Content::Written(place), digest, size)));
        }
        match self.land_tar(first.chain(entry)) {
            Ok(landed) => {
                let (digest, size) = (landed.diff_id().to_owned(), landed.blob_size());
                Ok(Ok(File::new(Content::Unpacked(landed), digest, size)))
            }
            Err(error) if error.is_of_a_full_disk() => Err(error),
            Err(error) => Ok(Err(with_causes(&error))),
        }
    }

    /// A layer that is here need not be unpacked again. Of a name that has a digest in another
    /// algorithm that one is asked for, too.
    fn is_better_written(&self, name: &str) -> Result<bool> {
        match name.strip_prefix("blobs/").and_then(|digest| digest.split_once('/')) {
            Some(("sha256", hex)) => Ok(self.layer(&format!("sha256:{hex}"))?.is_some()),
            other => Ok(other.is_some()),
        }
    }

    /// Writes what a container changed as a layer's stream, for [`Self::land_spooled`].
    pub fn spool_container(&self, id: &str) -> Result<Spooled> {
        let upper = self.layout().container_file(id, "upper");
        let (place, digest, size) = self.spool_with("write a layer", |writer| {
            container_archive::write_layer(&upper, io::BufWriter::with_capacity(64 * 1024, writer))
        })?;
        let file = File::new(Content::Written(place), digest, size);
        Ok(Spooled { files: BTreeMap::from([(String::new(), file)]), ..Spooled::default() })
    }

    /// Unpacks what [`Self::spool_container`] wrote.
    pub fn land_spooled(&self, spooled: &Spooled) -> Result<Landed> {
        let file = spooled.file("")?;
        let Content::Written(place) = &file.content else {
            return Err(StoreError::Invalid("a layer is unpacked already".into()));
        };
        self.land_file(place, &file.digest, |_| {})
    }
}

impl Spooled {
    fn forget(&mut self, name: &str) {
        self.files.remove(name);
        self.refused.remove(name);
        self.links.remove(name);
    }

    fn link(&mut self, name: String, target: &[u8]) {
        let target = clean_name(target);
        // The other name of a file is no loss of that file.
        if target.as_ref() == Some(&name) {
            return;
        }
        self.forget(&name);
        if let Some(target) = target {
            self.links.insert(name, target);
        }
    }

    /// Whether it is the layer's stream that has nothing in it.
    pub fn is_empty_layer(&self) -> bool {
        self.file("").is_ok_and(|file| file.digest == digests::digest_of(&[0; 1024]))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).is_ok()
    }

    pub(crate) fn file(&self, name: &str) -> Result<&File> {
        let mut name = name;
        // A link may lead to a link, but not for ever.
        for _ in 0..8 {
            if let Some(file) = self.files.get(name) {
                return Ok(file);
            }
            if let Some(why) = self.refused.get(name) {
                return Err(StoreError::Invalid(format!("{name}: {why}")));
            }
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        Err(StoreError::Invalid(format!("the archive has no file {name}")))
    }

    /// A small file, whole.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.file(name)?;
        if file.size > documents::LARGEST {
            return Err(StoreError::Invalid(format!("{name} is too large")));
        }
        let Content::Written(place) = &file.content else {
            return Err(StoreError::Invalid(format!("{name} is no document")));
        };
        std::fs::read(place).map_err(StoreError::io(format!("read {name}")))
    }
}

pub(crate) fn clean_name(path: &[u8]) -> Option<String> {
    beneath::clean(path)?.into_os_string().into_string().ok()
}
