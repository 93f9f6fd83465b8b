//! Amounts of bytes, as people write and read them.

use machine_lifecycle::Size;

/// `2048`, `2048MB` or `2GB`; a GB has 1024 MB.
pub(crate) fn megabytes(text: &str) -> Result<u64, String> {
    text.parse()
        .map(|Size(megabytes)| megabytes)
        .map_err(|error: machine_lifecycle::InvalidSize| error.to_string())
}

/// `0 B`, `512 KB`, `1.5 GB`.
pub(crate) fn of_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if tenths.is_multiple_of(10) || tenths >= 1000 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::of_bytes;

    #[test]
    fn bytes_are_told_with_two_or_three_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KB"),
            (200 << 20, "200 MB"),
            (3 << 30, "3 GB"),
        ] {
            assert_eq!(of_bytes(bytes), expected);
        }
    }
}
