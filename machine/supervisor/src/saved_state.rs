//! The file that a machine's memory and devices are saved to: one line of JSON that says what they
//! fit to, then QEMU's stream, compressed with zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use boot::Forward;
use machine_qemu::probe::Version;
use machine_qemu::spec::{Accelerator, MachineType};
use serde::{Deserialize, Serialize};

/// Of everything in this file.
const FORMAT: u32 = 1;
/// zstd's fastest ordinary level: a disk is slower.
const LEVEL: i32 = 1;
const MOST_WORKERS: usize = 4;
/// What is read and written at once.
const CHUNK: usize = 1 << 20;
const LONGEST_HEADER: u64 = 1 << 20;

/// What a VM is made of, as far as memory and devices depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hardware {
    pub(crate) qemu: Version,
    pub(crate) accelerator: Accelerator,
    pub(crate) machine: MachineType,
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u64,
    /// QEMU's arguments that describe the machine.
    pub(crate) arguments: Vec<String>,
    /// Kernel and initramfs, see [`image`].
    pub(crate) image: String,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) format: u32,
    #[serde(flatten)]
    pub(crate) hardware: Hardware,
    /// What was published at that time.
    pub(crate) forwards: Vec<Forward>,
}

impl Header {
    pub(crate) fn new(hardware: Hardware, forwards: Vec<Forward>) -> Self {
        Self { format: FORMAT, hardware, forwards }
    }
}

impl Hardware {
    /// Why a state that was saved with `self` does not fit to what there is `now`.
    pub(crate) fn mismatch(&self, now: &Self) -> Option<String> {
        // Within one minor version QEMU keeps to what it writes.
        if (self.qemu.major, self.qemu.minor) != (now.qemu.major, now.qemu.minor) {
            return Some(format!("QEMU {} wrote it, and now there is {}", self.qemu, now.qemu));
        }
        if self.memory_mib != now.memory_mib {
            return Some(format!(
                "the machine had {} MiB of memory then and has {} MiB now",
                self.memory_mib, now.memory_mib
            ));
        }
        if self.cpus != now.cpus {
            return Some(format!(
                "the machine had {} CPUs then and has {} now",
                self.cpus, now.cpus
            ));
        }
        if self.image != now.image {
            return Some("the guest image was replaced since".to_owned());
        }
        (self.arguments != now.arguments)
            .then(|| "the machine's devices are not the same any more".to_owned())
    }
}

/// What changes when a guest image is replaced by another one; where it lies does not matter.
pub(crate) fn image(kernel: &Path, initramfs: &Path) -> io::Result<String> {
    let stamp = |path: &Path| {
        let file = path.metadata()?;
        io::Result::Ok(format!("{} {}.{:09}", file.len(), file.mtime(), file.mtime_nsec()))
    };
    Ok(format!("{}, {}", stamp(kernel)?, stamp(initramfs)?))
}

/// Writes everything that comes from a socket, until its end, and makes it last.
pub(crate) fn write(
    header: &Header,
    mut file: &File,
    mut from: UnixStream,
    progress: &AtomicU64,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(header)?;
    line.push(b'\n');
    file.write_all(&line)?;
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    encoder.multithread(u32::try_from(cpus.min(MOST_WORKERS)).unwrap_or(1))?;
    copy(&mut from, &mut encoder, progress).map_err(|(_, error)| error)?;
    encoder.finish()?.sync_all()
}

/// A file whose header was read.
#[derive(Debug)]
pub(crate) struct SavedState {
    pub(crate) header: Header,
    rest: BufReader<File>,
}

/// Which end of a copy has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    From,
    To,
}

impl SavedState {
    /// Fails with a text for users if it is not such a file.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let unreadable = |error: io::Error| format!("{} cannot be read: {error}", path.display());
        let damaged = |error: serde_json::Error| format!("its first line is damaged: {error}");
        let mut rest = BufReader::with_capacity(CHUNK, File::open(path).map_err(unreadable)?);
        let mut line = Vec::new();
        rest.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut line).map_err(unreadable)?;
        // The version is looked at first: of another one nothing else is known.
        let Versioned { format } = serde_json::from_slice(&line).map_err(damaged)?;
        if format != FORMAT {
            return Err(format!("its format is version {format}, version {FORMAT} is understood"));
        }
        Ok(Self { header: serde_json::from_slice(&line).map_err(damaged)?, rest })
    }

    /// Sends everything after the header to a socket.
    pub(crate) fn feed(
        self,
        mut to: UnixStream,
        progress: &AtomicU64,
    ) -> Result<(), (Side, io::Error)> {
        let mut decoder =
            zstd::Decoder::with_buffer(self.rest).map_err(|error| (Side::From, error))?;
        copy(&mut decoder, &mut to, progress)
    }
}

fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    progress: &AtomicU64,
) -> Result<(), (Side, io::Error)> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err((Side::From, error)),
        };
        to.write_all(&chunk[..length]).map_err(|error| (Side::To, error))?;
        progress.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let hardware = Hardware {
            qemu: "7.2.22".parse().unwrap(),
            accelerator: Accelerator::Tcg,
            machine: MachineType::Q35,
            cpus: 2,
            memory_mib: 1024,
            arguments: vec!["-device virtio-blk-pci".to_owned()],
            image: "1 2.3, 4 5.6".to_owned(),
        };
        Header::new(hardware, Vec::new())
    }

    /// A saved state and what QEMU had sent.
    fn saved(directory: &Path) -> (std::path::PathBuf, Vec<u8>) {
        let content: Vec<u8> = (0..5_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let path = directory.join("state");
        let file = File::create(&path).unwrap();
        let progress = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                theirs.write_all(&content).unwrap();
                drop(theirs);
            });
            write(&header(), &file, ours, &progress).unwrap();
        });
        assert_eq!(progress.into_inner(), content.len() as u64);
        (path, content)
    }

    fn fed(path: &Path) -> (Result<(), Side>, Vec<u8>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let state = SavedState::open(path).unwrap();
        assert_eq!(state.header, header());
        std::thread::scope(|scope| {
            let feeding = scope.spawn(|| state.feed(ours, &AtomicU64::new(0)));
            let mut content = Vec::new();
            theirs.read_to_end(&mut content).unwrap();
            (feeding.join().unwrap().map_err(|(side, _)| side), content)
        })
    }

    #[test]
    fn what_was_saved_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let (path, content) = saved(directory.path());
        let (outcome, read) = fed(&path);
        assert_eq!(outcome, Ok(()));
        assert!(read == content);
    }

    #[test]
    fn a_damaged_or_shortened_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = saved(directory.path());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(fed(&path).0, Err(Side::From));
        let mut changed = whole.clone();
        let middle = whole.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert_eq!(fed(&path).0, Err(Side::From));
    }

    #[test]
    fn what_is_no_saved_state_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        for (content, reason) in [
            ("", "its first line is damaged"),
            ("{\"format\":99}\n", "its format is version 99"),
            ("{\"format\":1}\n", "its first line is damaged"),
        ] {
            std::fs::write(&path, content).unwrap();
            let refused = SavedState::open(&path).unwrap_err();
            assert!(refused.starts_with(reason), "{refused}");
        }
        assert!(SavedState::open(&directory.path().join("none")).unwrap_err().contains("none"));
    }

    #[test]
    fn a_state_fits_only_what_it_was_saved_from() {
        let saved = header().hardware;
        let with = |change: fn(&mut Hardware)| {
            let mut now = saved.clone();
            change(&mut now);
            saved.mismatch(&now)
        };
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|now| now.qemu.micro += 1), None);
        let reason = with(|now| now.qemu.major = 10).unwrap();
        assert_eq!(reason, "QEMU 7.2.22 wrote it, and now there is 10.2.22");
        let reason = with(|now| now.memory_mib = 512).unwrap();
        assert_eq!(reason, "the machine had 1024 MiB of memory then and has 512 MiB now");
        let reason = with(|now| now.cpus = 4).unwrap();
        assert_eq!(reason, "the machine had 2 CPUs then and has 4 now");
        assert!(with(|now| now.image = "other".to_owned()).unwrap().contains("image"));
        assert!(with(|now| now.arguments.clear()).unwrap().contains("devices"));
    }

    #[test]
    fn another_image_is_noticed_and_a_moved_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["kernel", "initramfs"] {
            std::fs::write(path(name), name).unwrap();
        }
        let before = image(&path("kernel"), &path("initramfs")).unwrap();
        std::fs::rename(path("kernel"), path("moved")).unwrap();
        assert_eq!(image(&path("moved"), &path("initramfs")).unwrap(), before);
        std::fs::write(path("initramfs"), "another").unwrap();
        assert_ne!(image(&path("moved"), &path("initramfs")).unwrap(), before);
    }
}
