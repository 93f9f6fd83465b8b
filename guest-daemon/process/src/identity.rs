//! Telling a process from a later one with the same pid.

use std::io;

/// Field 22 of /proc/PID/stat: clock ticks since boot at which the process began. Works for
/// zombies too; `NotFound` when there is no such process.
pub fn start_time(pid: i32) -> io::Result<u64> {
    let stat = match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        // The process was reaped between open and read.
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such process"));
        }
        Err(error) => return Err(error),
    };
    parse_start_time(&stat)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an unreadable /proc/PID/stat"))
}

/// The start time in the text of a /proc/PID/stat. The program's name, field 2, may hold spaces
/// and parentheses, so counting begins after the last closing one.
pub fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = b"7 (a) b) 9 (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2";
        assert_eq!(parse_start_time(stat), Some(4242));
    }

    #[test]
    fn a_truncated_stat_is_no_start_time() {
        assert_eq!(parse_start_time(b"7 (sh) S 1 7"), None);
        assert_eq!(parse_start_time(b""), None);
    }

    #[test]
    fn this_process_has_a_start_time() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(pid).unwrap() > 0);
    }

    #[test]
    fn a_process_that_does_not_exist_is_not_found() {
        assert_eq!(start_time(i32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
