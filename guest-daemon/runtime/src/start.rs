//! The word to start that a finished container waits for: a byte from a FIFO that outlives the
//! daemon.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

/// How long to wait for a program to be executed.
const EXECUTED_LIMIT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Makes a container's FIFO and returns what its first process reads from. As long as it has that,
/// the word can be given.
pub(crate) fn make(directory: &Path, container: &str) -> io::Result<OwnedFd> {
    let path = directory.join(container);
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    // For writing too, so that opening does not wait and reading never sees an end.
    Ok(rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Lets a container run. What is returned tells when it does: see [`executed`].
pub(crate) fn give(directory: &Path, container: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Without blocking, so that it fails if nobody waits.
    options.write(true).custom_flags(libc::O_NONBLOCK);
    let mut word = options.open(directory.join(container))?;
    word.write_all(b"\n")?;
    Ok(word)
}

/// Waits until the container's program is what runs, not for ever: whoever looks at its processes
/// at once should see that and not what came before. Blocks.
pub(crate) fn executed(word: &File) -> bool {
    // Executing it closes what the word was read from.
    let mut readers = [PollFd::from_borrowed_fd(word.as_fd(), PollFlags::empty())];
    poll(&mut readers, Some(&EXECUTED_LIMIT)).is_ok_and(|closed| closed > 0)
}

/// As [`give`], for a container that most likely runs already and does not wait any more.
pub(crate) fn give_again(directory: &Path, container: &str) -> io::Result<()> {
    match give(directory, container) {
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(()),
        other => other.map(drop),
    }
}

/// Succeeds when there is none.
pub(crate) fn remove(directory: &Path, container: &str) -> io::Result<()> {
    match std::fs::remove_file(directory.join(container)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_arrives_and_giving_it_again_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let start = make(dir.path(), "ab").unwrap();
        let word = give(dir.path(), "ab").unwrap();
        let mut bytes = [0; 4];
        assert_eq!(rustix::io::read(&start, &mut bytes).unwrap(), 1);
        let waiting = std::thread::spawn(move || executed(&word));
        drop(start);
        assert!(waiting.join().unwrap());
        assert_eq!(give(dir.path(), "ab").unwrap_err().raw_os_error(), Some(libc::ENXIO));
        give_again(dir.path(), "ab").unwrap();
        remove(dir.path(), "ab").unwrap();
        remove(dir.path(), "ab").unwrap();
        assert_eq!(give_again(dir.path(), "ab").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
