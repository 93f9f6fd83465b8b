//! Waiting for any descriptor within tokio.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor known to tokio's reactor: a pidfd, a terminal, a device, a socket.
#[derive(Debug)]
pub struct AsyncDescriptor {
    inner: AsyncFd<OwnedFd>,
}

impl AsyncDescriptor {
    /// Makes it non-blocking; must be called within a tokio runtime.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&descriptor)?;
        rustix::fs::fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
        Self::register(descriptor, Interest::READABLE | Interest::WRITABLE)
    }

    /// For descriptors that become readable but cannot be read, such as pidfds.
    pub fn of_event(descriptor: OwnedFd) -> io::Result<Self> {
        Self::register(descriptor, Interest::READABLE)
    }

    #[expect(unsafe_code, reason = "tokio cannot know that a descriptor stays open")]
    fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<Self> {
        // SAFETY: the descriptor is owned by this value, which hands out borrows only, so it stays
        // open and the same until both go.
        let inner = unsafe { AsyncFd::register_with_interest(descriptor, interest)? };
        Ok(AsyncDescriptor { inner })
    }

    /// Waits until it is readable or the other side is gone.
    pub async fn readable(&self) -> io::Result<()> {
        self.inner.readable().await.map(drop)
    }

    /// Tries `read`, and again whenever it is readable, until it answers anything but
    /// `WouldBlock`.
    pub async fn read_with<T>(
        &self,
        read: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.when(Interest::READABLE, read).await
    }

    /// Tries `write`, and again whenever it is writable, until it answers anything but
    /// `WouldBlock`.
    pub async fn write_with<T>(
        &self,
        write: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.when(Interest::WRITABLE, write).await
    }

    /// Writes all of it.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_with(|fd| Ok(rustix::io::write(fd, bytes)?)).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => bytes = &bytes[count..],
            }
        }
        Ok(())
    }

    async fn when<T>(
        &self,
        interest: Interest,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match self.inner.async_io(interest, |fd| operation(fd.as_fd())).await {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl AsFd for AsyncDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.get_ref().as_fd()
    }
}
