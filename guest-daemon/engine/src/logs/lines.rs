//! Cutting output into lines.

use std::ops::ControlFlow;

/// A longer line is cut here, as dockerd does.
pub(super) const LONGEST: usize = 16 * 1024;

/// Tells the lines of output, and the pieces of lines that are too long, until it is told to stop;
/// what is no whole line yet stays in `partial`. Returns how many bytes that were.
pub(super) fn cut(
    partial: &mut Vec<u8>,
    data: &[u8],
    mut line: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> usize {
    let mut taken = 0;
    for piece in data.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = piece;
        while partial.len() + rest.len() >= LONGEST {
            let (head, tail) = rest.split_at(LONGEST - partial.len());
            partial.extend_from_slice(head);
            taken += head.len();
            let more = line(partial);
            partial.clear();
            if more.is_break() {
                return taken;
            }
            rest = tail;
        }
        taken += rest.len();
        let more = if partial.is_empty() && rest.ends_with(b"\n") {
            line(rest)
        } else {
            partial.extend_from_slice(rest);
            if !partial.ends_with(b"\n") {
                continue;
            }
            let more = line(partial);
            partial.clear();
            more
        };
        if more.is_break() {
            return taken;
        }
    }
    taken
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
        let mut all = |line: &[u8]| {
            take(line);
            ControlFlow::Continue(())
        };
        cut(&mut partial, b"one", &mut all);
        cut(&mut partial, b" two\n\nthree", &mut all);
        flush(&mut partial, &mut take);
        flush(&mut partial, &mut take);
        assert_eq!(lines, ["one two\n", "\n", "three"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_without_losing_a_byte() {
        let (mut partial, mut lengths) = (Vec::new(), Vec::new());
        cut(&mut partial, &vec![b'x'; LONGEST * 2 + 5], |line| {
            lengths.push(line.len());
            ControlFlow::Continue(())
        });
        assert_eq!((lengths, partial.len()), (vec![LONGEST, LONGEST], 5));
    }

    #[test]
    fn who_has_enough_gets_no_more() {
        let mut partial = b"a ".to_vec();
        let mut lines = Vec::new();
        let mut first = |line: &[u8]| {
            lines.push(line.to_vec());
            ControlFlow::Break(())
        };
        assert_eq!(cut(&mut partial, b"line\nanother\n", &mut first), 5);
        let long = vec![b'x'; LONGEST * 2];
        assert_eq!(cut(&mut partial, &long, &mut first), LONGEST);
        assert_eq!(lines, [b"a line\n".to_vec(), long[..LONGEST].to_vec()]);
        assert!(partial.is_empty());
    }
}
