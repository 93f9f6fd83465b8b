//! The pipes of a process: made, kept by init, and opened for the engine.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use engine::ports::ProcessIo;
use futures::future::try_join_all;
use guest_init::client::InitClient;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::streams::{PipeInput, PipeOutput, TerminalInput, TerminalOutput};

/// Our ends, with the names they have in a descriptor store.
#[derive(Debug, Default)]
pub(crate) struct Ends(Vec<(&'static str, OwnedFd)>);

/// Makes three pipes and returns our ends and the process's, in the order of descriptor numbers.
pub(crate) fn pipes(open_stdin: bool) -> io::Result<(Ends, Vec<OwnedFd>)> {
    let mut ours = Vec::new();
    let stdin = if open_stdin {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        ours.push(("stdin", writer));
        reader
    } else {
        rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?
    };
    let mut theirs = vec![stdin];
    for name in ["stdout", "stderr"] {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        ours.push((name, reader));
        theirs.push(writer);
    }
    Ok((Ends(ours), theirs))
}

impl Ends {
    pub(crate) fn terminal(master: OwnedFd) -> Self {
        Self(vec![("tty", master)])
    }

    /// The ends found under these names; what is not found is not there.
    pub(crate) fn find(
        names: &[&'static str],
        mut take: impl FnMut(&str) -> Option<OwnedFd>,
    ) -> Self {
        Self(names.iter().filter_map(|name| Some((*name, take(name)?))).collect())
    }

    /// Has init keep them, so that they outlive this daemon.
    pub(crate) async fn keep(&self, init: &InitClient, prefix: &str) -> io::Result<()> {
        let stores = self.0.iter().map(|(name, descriptor)| async move {
            init.store(&format!("{prefix}{name}"), descriptor.as_fd()).await
        });
        try_join_all(stores).await.map(drop)
    }

    /// Opens them for the engine.
    pub(crate) fn open(self, init: &InitClient, prefix: &str) -> io::Result<ProcessIo> {
        let mut io = ProcessIo::default();
        for (name, descriptor) in self.0 {
            match name {
                "stdin" => {
                    let name = format!("{prefix}stdin");
                    io.stdin = Some(Box::new(PipeInput::new(descriptor, init.clone(), name)?));
                }
                "stdout" => io.stdout = Some(Box::new(PipeOutput::new(descriptor)?)),
                "stderr" => io.stderr = Some(Box::new(PipeOutput::new(descriptor)?)),
                _ => {
                    io.stdin = Some(Box::new(TerminalInput::new(descriptor.try_clone()?)?));
                    io.stdout = Some(Box::new(TerminalOutput::new(descriptor)?));
                }
            }
        }
        Ok(io)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;

    use super::*;

    impl Ends {
        fn get(&self, name: &str) -> Option<BorrowedFd<'_>> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, fd)| fd.as_fd())
        }
    }

    #[test]
    fn without_open_input_it_is_the_null_device() {
        let (ours, theirs) = pipes(false).unwrap();
        assert!(ours.get("stdin").is_none());
        assert!(ours.get("stdout").is_some() && ours.get("stderr").is_some());
        let mut byte = [0];
        assert_eq!(rustix::io::read(&theirs[0], &mut byte).unwrap(), 0);
    }

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let (ours, theirs) = pipes(true).unwrap();
        let mut byte = [0];
        rustix::io::write(ours.get("stdin").unwrap(), b"a").unwrap();
        rustix::io::read(&theirs[0], &mut byte).unwrap();
        assert_eq!(&byte, b"a");
        for (at, name) in [(1, "stdout"), (2, "stderr")] {
            rustix::io::write(&theirs[at], name.as_bytes()).unwrap();
            let mut text = vec![0; 6];
            rustix::io::read(ours.get(name).unwrap(), &mut text).unwrap();
            assert_eq!(text, name.as_bytes());
        }
    }
}
