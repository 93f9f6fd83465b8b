//! What is told of a file and what may be changed about it.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, chmodat, chownat, fchmod,
    fchown, ftruncate, futimens, utimensat,
};

use super::packet::{Fields, Packets, Short};

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;
/// More of them would be a mistake.
const EXTENSIONS: u32 = 64;
const PERMISSION_BITS: u32 = 0o7777;

/// What a client wants a file to be like.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) size: Option<u64>,
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mode: Option<u32>,
    /// Seconds of the last access and of the last change.
    pub(crate) times: Option<(u32, u32)>,
}

impl Wanted {
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Short> {
        let flags = fields.number()?;
        let mut wanted = Wanted::default();
        if flags & SIZE != 0 {
            wanted.size = Some(fields.long()?);
        }
        if flags & OWNER != 0 {
            wanted.owner = Some((fields.number()?, fields.number()?));
        }
        if flags & PERMISSIONS != 0 {
            wanted.mode = Some(fields.number()? & PERMISSION_BITS);
        }
        if flags & TIMES != 0 {
            wanted.times = Some((fields.number()?, fields.number()?));
        }
        if flags & EXTENDED != 0 {
            for _ in 0..fields.number()?.min(EXTENSIONS) {
                fields.text()?;
                fields.text()?;
            }
        }
        Ok(wanted)
    }

    pub(crate) fn mode_or(&self, otherwise: u32) -> Mode {
        Mode::from_bits_truncate(self.mode.unwrap_or(otherwise))
    }

    /// Owner before mode: a new owner takes the set-uid bit away.
    pub(crate) fn apply_to_path(&self, path: &Path, follow: bool) -> io::Result<()> {
        let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        if let Some(size) = self.size {
            std::fs::OpenOptions::new().write(true).open(path)?.set_len(size)?;
        }
        if let Some((user, group)) = self.owner {
            chownat(CWD, path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)), flags)?;
        }
        if let Some(mode) = self.mode {
            chmodat(CWD, path, Mode::from_bits_truncate(mode), flags)?;
        }
        if let Some(times) = self.times {
            utimensat(CWD, path, &timestamps(times), flags)?;
        }
        Ok(())
    }

    pub(crate) fn apply_to_open(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        if let Some(size) = self.size {
            ftruncate(file, size)?;
        }
        if let Some((user, group)) = self.owner {
            fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        if let Some(mode) = self.mode {
            fchmod(file, Mode::from_bits_truncate(mode))?;
        }
        if let Some(times) = self.times {
            futimens(file, &timestamps(times))?;
        }
        Ok(())
    }
}

fn timestamps((accessed, modified): (u32, u32)) -> Timestamps {
    let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    Timestamps { last_access: at(accessed), last_modification: at(modified) }
}

pub(crate) fn write(stat: &Stat, packets: &mut Packets) {
    packets.number(SIZE | OWNER | PERMISSIONS | TIMES);
    packets.long(u64::try_from(stat.st_size).unwrap_or_default());
    packets.number(stat.st_uid);
    packets.number(stat.st_gid);
    packets.number(stat.st_mode);
    // The protocol's times end in 2106.
    packets.number(u32::try_from(stat.st_atime).unwrap_or_default());
    packets.number(u32::try_from(stat.st_mtime).unwrap_or_default());
}

/// A line as of `ls -l`, which clients show as it is. Times are in UTC.
pub(crate) fn line(name: &CStr, stat: &Stat) -> Vec<u8> {
    let owner = |id: u32| if id == 0 { "root".to_owned() } else { id.to_string() };
    let mut line = format!(
        "{} {:>4} {:<8} {:<8} {:>8} {} ",
        letters(stat.st_mode),
        stat.st_nlink,
        owner(stat.st_uid),
        owner(stat.st_gid),
        stat.st_size,
        date(stat.st_mtime),
    )
    .into_bytes();
    line.extend_from_slice(name.to_bytes());
    line
}

fn letters(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        _ => '-',
    };
    let bit = |bit: u32, letter: char| if mode & bit != 0 { letter } else { '-' };
    // The third letter of each group also tells of the special bit.
    let third = |special: u32, run: u32, both: char, only: char| match mode & (special | run) {
        0 => '-',
        bits if bits == run => 'x',
        bits if bits == special => only,
        _ => both,
    };
    [
        kind,
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        third(0o4000, 0o100, 's', 'S'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        third(0o2000, 0o010, 's', 'S'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        third(0o1000, 0o001, 't', 'T'),
    ]
    .into_iter()
    .collect()
}

/// `Nov 22  2026`
fn date(seconds: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Years are counted from March, so that the leap day is a year's last; 400 of them make a cycle.
    let days = seconds.div_euclid(86_400) + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_cycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + year_of_cycle + i64::from(month >= 10);
    let month = usize::try_from((month + 2) % 12).unwrap_or_default();
    format!("{} {day:>2}  {year}", MONTHS.get(month).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{date, letters};

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "Jan  1  1970");
        assert_eq!(date(951_782_400), "Feb 29  2000");
        assert_eq!(date(951_868_800), "Mar  1  2000");
        assert_eq!(date(1_735_689_599), "Dec 31  2024");
        assert_eq!(date(4_102_444_800), "Jan  1  2100");
    }

    #[test]
    fn modes_are_shown_as_ls_shows_them() {
        assert_eq!(letters(0o100_644), "-rw-r--r--");
        assert_eq!(letters(0o041_777), "drwxrwxrwt");
        assert_eq!(letters(0o104_655), "-rwSr-xr-x");
        assert_eq!(letters(0o102_755), "-rwxr-sr-x");
        assert_eq!(letters(0o120_777), "lrwxrwxrwx");
    }
}
