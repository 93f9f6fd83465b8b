//! Cutting output into lines.

/// A longer line is cut here, as dockerd does.
pub(super) const LONGEST: usize = 16 * 1024;

/// Tells the lines of output, and the pieces of lines that are too long; what is no whole line yet
/// stays in `partial`.
pub(super) fn cut(partial: &mut Vec<u8>, data: &[u8], mut line: impl FnMut(&[u8])) {
    for piece in data.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = piece;
        while partial.len() + rest.len() >= LONGEST {
            let (head, tail) = rest.split_at(LONGEST - partial.len());
            partial.extend_from_slice(head);
            line(partial);
            partial.clear();
            rest = tail;
        }
        if partial.is_empty() && rest.ends_with(b"\n") {
            line(rest);
            continue;
        }
        partial.extend_from_slice(rest);
        if partial.ends_with(b"\n") {
            line(partial);
            partial.clear();
        }
    }
}

/// Tells the last line of a stream that did not end with a newline.
pub(super) fn flush(partial: &mut Vec<u8>, mut line: impl FnMut(&[u8])) {
    if !partial.is_empty() {
        line(partial);
        partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_when_it_is_whole() {
        let (mut partial, mut lines) = (Vec::new(), Vec::new());
        let mut take = |line: &[u8]| lines.push(String::from_utf8(line.to_vec()).unwrap());
        cut(&mut partial, b"one", &mut take);
        cut(&mut partial, b" two\n\nthree", &mut take);
        flush(&mut partial, &mut take);
        flush(&mut partial, &mut take);
        assert_eq!(lines, ["one two\n", "\n", "three"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_without_losing_a_byte() {
        let (mut partial, mut lengths) = (Vec::new(), Vec::new());
        cut(&mut partial, &vec![b'x'; LONGEST * 2 + 5], |line| lengths.push(line.len()));
        assert_eq!((lengths, partial.len()), (vec![LONGEST, LONGEST], 5));
    }
}
