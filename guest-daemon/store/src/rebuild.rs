//! A layer's tar, put together again from its frame and its unpacked files.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use flate2::Crc;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::Store;
use crate::error::{Result, StoreError};
use crate::frame::{self, Content, Part, WINDOW_LOG};
use crate::objects::LayerRecord;
use crate::{beneath, compression, trees};

/// What is read at a time.
const BUFFER: usize = 64 * 1024;

impl Store {
    /// The layer's tar, not compressed. It ends with an error where it is not the one that was
    /// unpacked, and before its last byte.
    pub(crate) fn open_tar(&self, layer: &LayerRecord) -> Result<Box<dyn Read + Send>> {
        let reading = || StoreError::io(format!("read layer {}", layer.diff_id));
        let Some(size) = layer.tar_size else {
            let blob = self.open_blob(&layer.blob)?;
            return compression::decompress(blob).map_err(reading());
        };
        let rebuilt = self.rebuild(&layer.diff_id, size).map_err(reading())?;
        // What is asked for in small parts is not read and hashed so.
        Ok(Box::new(BufReader::with_capacity(BUFFER, rebuilt)))
    }

    fn rebuild(&self, diff_id: &str, size: u64) -> io::Result<Rebuilt> {
        let frame = File::open(self.layout().layer_frame(diff_id))?;
        let mut frame = zstd::Decoder::new(frame)?;
        frame.window_log_max(WINDOW_LOG)?;
        let mut frame = BufReader::with_capacity(BUFFER, frame);
        frame::read_mark(&mut frame)?;
        let aside = match trees::open_directory(&self.layout().layer_aside(diff_id)) {
            Ok(folder) => Some(folder),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Rebuilt {
            frame: Box::new(frame),
            layer: trees::open_directory(&self.layout().layer_diff(diff_id))?,
            aside,
            now: Now::Between,
            left: size,
            hasher: Sha256::new(),
            diff_id: diff_id.to_owned(),
        })
    }
}

struct Rebuilt {
    frame: Box<dyn Read + Send>,
    /// The unpacked files.
    layer: OwnedFd,
    /// Those that others took the place of.
    aside: Option<OwnedFd>,
    now: Now,
    /// Bytes that are still to come.
    left: u64,
    hasher: Sha256,
    diff_id: String,
}

/// What is being read.
enum Now {
    Between,
    /// So many bytes of the frame.
    Bytes(u64),
    File(Opened),
}

struct Opened {
    content: File,
    left: u64,
    checksum: Crc,
    expected: u32,
    path: PathBuf,
}

impl Read for Rebuilt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let length = self.some(&mut buffer[..most])?;
        self.hasher.update(&buffer[..length]);
        self.left -= length as u64;
        if self.left == 0 {
            self.check()?;
        }
        Ok(length)
    }
}

impl Rebuilt {
    /// The next bytes, at least one.
    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.now {
                Now::Between => 0,
                Now::Bytes(left) => {
                    let read = up_to(*left, &mut self.frame, buffer)?;
                    if read == 0 && *left > 0 {
                        return Err(frame::damaged());
                    }
                    *left -= read as u64;
                    read
                }
                Now::File(opened) => opened.read(buffer)?,
            };
            if read > 0 {
                return Ok(read);
            }
            self.now = match frame::read_part(&mut self.frame)? {
                Part::Bytes(length) => Now::Bytes(length),
                Part::File(content) => Now::File(self.open(content)?),
                Part::End => return Err(frame::damaged()),
            };
        }
    }

    fn open(&self, content: Content) -> io::Result<Opened> {
        let name = PathBuf::from(content.inode.to_string());
        let aside = self.aside.as_ref().map(|aside| open_file(aside, &name));
        let opened = match aside {
            None | Some(Err(Errno::NOENT)) => open_file(&self.layer, &content.path),
            Some(other) => other,
        };
        let file = match opened {
            Ok(file) => File::from(file),
            // A link or a folder has taken its place.
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Err(changed(&content.path)),
            Err(error) => return Err(error.into()),
        };
        let found = file.metadata()?;
        if !found.is_file() || found.len() != content.size {
            return Err(changed(&content.path));
        }
        let Content { path, size, checksum, .. } = content;
        Ok(Opened { content: file, left: size, checksum: Crc::new(), expected: checksum, path })
    }

    fn check(&self) -> io::Result<()> {
        let found = format!("sha256:{}", hex::encode(self.hasher.clone().finalize()));
        if found == self.diff_id {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the layer is not what it was: it has digest {found}"),
        ))
    }
}

impl Opened {
    /// Nothing at the end, if all of it is as it was.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = up_to(self.left, &mut self.content, buffer)?;
        self.left -= read as u64;
        self.checksum.update(&buffer[..read]);
        let is_short = read == 0 && self.left > 0;
        if is_short || (self.left == 0 && self.checksum.sum() != self.expected) {
            return Err(changed(&self.path));
        }
        Ok(read)
    }
}

fn up_to(left: u64, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    from.read(&mut buffer[..most])
}

/// Whatever is there now: what is no file must not keep us waiting.
fn open_file(folder: &OwnedFd, path: &Path) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    beneath::open_child(folder, path, flags | OFlags::NOATIME).or_else(|error| match error {
        Errno::PERM => beneath::open_child(folder, path, flags),
        other => Err(other),
    })
}

fn changed(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} has changed since it was unpacked", path.display()),
    )
}
