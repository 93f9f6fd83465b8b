//! The data disk: mounting it, and what the daemon may do with it while it is mounted.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use nix::mount::{MsFlags, mount};

/// The disk and where all of the engine's data lies.
const DEVICE: &str = "/dev/vda";
pub const DATA_ROOT: &str = "/var/lib/docker";

/// Smaller holes than this are not worth telling the host about.
const TRIM_MINIMUM_BYTES: u64 = 1024 * 1024;

mod ioctls {
    //! The filesystem's control calls.

    /// struct fstrim_range.
    #[repr(C)]
    #[derive(Debug)]
    pub(super) struct TrimRange {
        pub(super) start: u64,
        pub(super) length: u64,
        pub(super) minimum: u64,
    }

    nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
    nix::ioctl_read!(block_device_bytes, 0x12, 114, u64);
    nix::ioctl_readwrite!(freeze, b'X', 119, i32);
    nix::ioctl_readwrite!(thaw, b'X', 120, i32);
    nix::ioctl_readwrite!(trim, b'X', 121, TrimRange);
}

/// Blocks that become free are told to the host (`discard`): the kernel does it after the deletion,
/// in the background. The reserved blocks are root's by default, and root is what containers run
/// as; with an id that nobody has, they are for the capability alone, which containers lack.
const OPTIONS: &str = "discard,resuid=4294967294";

/// Mounts the disk.
pub(crate) fn mount_data() -> io::Result<()> {
    mount(Some(DEVICE), DATA_ROOT, Some("ext4"), MsFlags::MS_NOATIME, Some(OPTIONS))?;
    Ok(())
}

/// The data disk's filesystem after [`grow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Its size, which is the disk's.
    pub bytes: u64,
    /// Whether it was smaller before.
    pub changed: bool,
}

/// The kernel refuses to grow a filesystem that is being grown already.
static GROWING: Mutex<()> = Mutex::new(());

/// Grows the filesystem to the size of its disk, while it is used. Callers take turns.
#[expect(unsafe_code, reason = "ioctls have no safe wrapper")]
pub fn grow() -> io::Result<Grown> {
    let _turn = GROWING.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = File::open(DEVICE)?;
    let root = File::open(DATA_ROOT)?;
    let filesystem = nix::sys::statvfs::fstatvfs(&root)?;
    let block_bytes = filesystem.block_size();
    let mut disk_bytes = 0;
    // SAFETY: the kernel writes one u64 to a live value.
    unsafe { ioctls::block_device_bytes(disk.as_raw_fd(), &raw mut disk_bytes)? };
    let blocks = disk_bytes / block_bytes;
    // statvfs leaves out what the filesystem needs for itself, so an exact comparison would need
    // the superblock; asking for the size it already has is harmless and answered at once.
    let before = filesystem.blocks();
    // SAFETY: the kernel reads one u64 from a live value.
    unsafe { ioctls::ext4_resize(root.as_raw_fd(), &raw const blocks)? };
    let after = nix::sys::statvfs::fstatvfs(&root)?.blocks();
    Ok(Grown { bytes: blocks * block_bytes, changed: after != before })
}

/// Writes back what is not on the disk yet.
pub fn sync() -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(DATA_ROOT)?)?)
}

/// Tells the host about all blocks that are free. Returns how many bytes that were.
#[expect(unsafe_code, reason = "ioctls have no safe wrapper")]
pub fn trim() -> io::Result<u64> {
    let root = File::open(DATA_ROOT)?;
    let mut range = ioctls::TrimRange { start: 0, length: u64::MAX, minimum: TRIM_MINIMUM_BYTES };
    // SAFETY: the kernel reads and writes one range, which is a live value of its layout.
    unsafe { ioctls::trim(root.as_raw_fd(), &raw mut range)? };
    Ok(range.length)
}

/// Holds all writing back until [`thaw`], so that the disk can be copied.
#[expect(unsafe_code, reason = "ioctls have no safe wrapper")]
pub fn freeze() -> io::Result<()> {
    let root = File::open(DATA_ROOT)?;
    let mut unused = 0;
    // SAFETY: the argument is ignored by the kernel.
    unsafe { ioctls::freeze(root.as_raw_fd(), &raw mut unused)? };
    Ok(())
}

/// Lets writers go on; an error when nothing is frozen.
#[expect(unsafe_code, reason = "ioctls have no safe wrapper")]
pub fn thaw() -> io::Result<()> {
    let root = File::open(DATA_ROOT)?;
    let mut unused = 0;
    // SAFETY: the argument is ignored by the kernel.
    unsafe { ioctls::thaw(root.as_raw_fd(), &raw mut unused)? };
    Ok(())
}
