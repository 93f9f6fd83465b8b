//! Cutting output into the lines of a log.

use engine_store::container_logs::encode_line;

/// A longer line is cut here, as dockerd does.
pub(super) const LONGEST: usize = 16 * 1024;

/// Turns output into whole log lines; what is no whole line yet stays in `partial`.
pub(super) fn cut(partial: &mut Vec<u8>, data: &[u8], stderr: bool, time: &str) -> Vec<u8> {
    let mut lines = Vec::with_capacity(data.len() + data.len() / 4);
    for piece in data.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = piece;
        while partial.len() + rest.len() >= LONGEST {
            let (head, tail) = rest.split_at(LONGEST - partial.len());
            partial.extend_from_slice(head);
            encode_line(&mut lines, partial, stderr, time);
            partial.clear();
            rest = tail;
        }
        partial.extend_from_slice(rest);
        if partial.ends_with(b"\n") {
            encode_line(&mut lines, partial, stderr, time);
            partial.clear();
        }
    }
    lines
}

/// The last line of a stream that did not end with a newline.
pub(super) fn flush(partial: &mut Vec<u8>, stderr: bool, time: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    if !partial.is_empty() {
        encode_line(&mut lines, partial, stderr, time);
        partial.clear();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_when_it_is_whole() {
        let mut partial = Vec::new();
        assert!(cut(&mut partial, b"one", false, "t").is_empty());
        let lines = cut(&mut partial, b" two\nthree", false, "t");
        assert_eq!(lines, b"{\"log\":\"one two\\n\",\"stream\":\"stdout\",\"time\":\"t\"}\n");
        assert_eq!(partial, b"three");
        assert_eq!(flush(&mut partial, true, "t").iter().filter(|b| **b == b'\n').count(), 1);
        assert!(partial.is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_without_losing_a_byte() {
        let mut partial = Vec::new();
        let lines = cut(&mut partial, &vec![b'x'; LONGEST * 2 + 5], false, "t");
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert_eq!(partial.len(), 5);
        assert_eq!(lines.iter().filter(|byte| **byte == b'x').count(), LONGEST * 2);
    }
}
