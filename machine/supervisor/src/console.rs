//! The guest's console output: kept of the last two boots, and its end shown when a boot fails.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::files::{CONSOLE_LOG, EARLIER_CONSOLE_LOG, QEMU_LOG};

const LINES: usize = 20;
const BYTES: u64 = 64 * 1024;

/// Makes room for the output of a new boot.
pub(crate) fn rotate(directory: &Path) -> io::Result<()> {
    let console = directory.join(CONSOLE_LOG);
    // An attempt that never got to its first byte is not worth an earlier boot's output.
    if console.metadata().map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    std::fs::rename(console, directory.join(EARLIER_CONSOLE_LOG))
}

/// Whether the guest has written anything.
pub(crate) fn has_output(directory: &Path) -> bool {
    directory.join(CONSOLE_LOG).metadata().is_ok_and(|file| file.len() > 0)
}

/// The last lines of the console.
pub(crate) fn last_lines(directory: &Path) -> Vec<String> {
    tail(&directory.join(CONSOLE_LOG))
}

/// What QEMU complained about: the first error it names, or else its last words.
pub(crate) fn complaint(directory: &Path) -> Option<String> {
    let lines = tail(&directory.join(QEMU_LOG));
    let line = lines.iter().find(|line| line.contains("error: ")).or(lines.last())?;
    // Each line begins with the program's name, which says nothing to a user.
    let text =
        line.split_once(": ").filter(|(name, _)| name.contains("qemu")).map(|(_, text)| text);
    let text = text.unwrap_or(line);
    Some(text.strip_prefix("error: ").unwrap_or(text).to_owned())
}

/// All that QEMU has complained about.
pub(crate) fn complaints(directory: &Path) -> String {
    tail(&directory.join(QEMU_LOG)).join("\n")
}

fn tail(path: &Path) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut content = Vec::new();
        file.take(BYTES).read_to_end(&mut content)?;
        Ok(content)
    };
    let content = read().unwrap_or_default();
    let lines = String::from_utf8_lossy(&content).lines().map(printable).collect::<Vec<_>>();
    let mut lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    lines.split_off(lines.len().saturating_sub(LINES))
}

/// The guest's words go to the user's terminal, and must not steer it.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_twenty_lines_are_shown_without_control_characters() {
        let directory = tempfile::tempdir().unwrap();
        let mut text: String = (0..100).map(|n| format!("line {n}\r\n\n")).collect();
        text += "\x1b[2Jpanic\u{7}";
        std::fs::write(directory.path().join(CONSOLE_LOG), text).unwrap();
        let lines = last_lines(directory.path());
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 81");
        assert_eq!(lines[19], "[2Jpanic");
    }

    #[test]
    fn qemus_complaint_is_the_error_it_names() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join(QEMU_LOG);
        let text = "qemu-system-x86_64: warning: x\nqemu-system-x86_64: error: failed to set MSR\n\
                    qemu-system-x86_64: ../kvm.c:1: Assertion `x' failed.\n";
        std::fs::write(&log, text).unwrap();
        assert_eq!(complaint(directory.path()).as_deref(), Some("failed to set MSR"));
        std::fs::write(&log, "qemu-system-x86_64: -m size=1M: too small\n").unwrap();
        assert_eq!(complaint(directory.path()).as_deref(), Some("-m size=1M: too small"));
    }

    #[test]
    fn there_may_be_no_console_yet() {
        assert!(last_lines(Path::new("/nonexistent")).is_empty());
    }

    #[test]
    fn the_previous_boots_output_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(CONSOLE_LOG), "first").unwrap();
        rotate(directory.path()).unwrap();
        std::fs::write(directory.path().join(CONSOLE_LOG), "").unwrap();
        rotate(directory.path()).unwrap();
        let kept = std::fs::read_to_string(directory.path().join(EARLIER_CONSOLE_LOG)).unwrap();
        assert_eq!(kept, "first");
    }
}
