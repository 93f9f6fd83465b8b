//! Writes the "newc" cpio format that Linux unpacks as its initial file system (see the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst). Everything belongs to root and
//! has one time, so that the same content always gives the same bytes.

/// An archive being written.
pub(super) struct Archive {
    bytes: Vec<u8>,
    inodes: u32,
}

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

impl Archive {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), inodes: 0 }
    }

    pub(super) fn directory(&mut self, path: &str, permissions: u32) {
        self.entry(path, DIRECTORY | permissions, (0, 0), &[]);
    }

    pub(super) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, FILE | permissions, (0, 0), content);
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) {
        self.entry(path, SYMLINK | 0o777, (0, 0), target.as_bytes());
    }

    pub(super) fn character_device(&mut self, path: &str, permissions: u32, device: (u32, u32)) {
        self.entry(path, CHARACTER_DEVICE | permissions, device, &[]);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.inodes = 0;
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inodes += 1;
        let fields = [
            self.inodes,
            mode,
            0, // owner
            0, // group
            1, // links
            u32::try_from(super::EPOCH).unwrap_or(0),
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0, // device that holds the file, major
            0, // and minor
            device.0,
            device.1,
            u32::try_from(path.len() + 1).unwrap_or(u32::MAX),
            0, // checksum, not used by this format
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn cpio_itself_lists_what_was_written() {
        let mut archive = Archive::new();
        archive.directory("bin", 0o755);
        archive.file("bin/tool", 0o755, b"content");
        archive.symlink("bin/sh", "tool");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive");
        std::fs::write(&path, archive.finish()).unwrap();
        let listed = std::process::Command::new("cpio")
            .args(["-it", "--quiet"])
            .stdin(std::fs::File::open(&path).unwrap())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&listed.stdout), "bin\nbin/tool\nbin/sh\n");
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        let write = || {
            let mut archive = Archive::new();
            archive.file("init", 0o755, b"x");
            archive.finish()
        };
        assert_eq!(write(), write());
    }
}
