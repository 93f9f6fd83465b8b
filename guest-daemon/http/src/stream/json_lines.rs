//! Progress as clients read it: JSON objects, `\r\n` after each.

use bytes::Bytes;
use engine::images::Progress;
use engine_api::progress::{ErrorDetail, ProgressDetail, ProgressMessage, PushResult};

pub(crate) fn encode(progress: Progress) -> Bytes {
    let mut line = serde_json::to_vec(&message(progress)).unwrap_or_default();
    line.extend_from_slice(b"\r\n");
    Bytes::from(line)
}

fn message(progress: Progress) -> ProgressMessage {
    match progress {
        Progress::Stream(stream) => ProgressMessage { stream, ..Default::default() },
        Progress::Message { id, text } => {
            ProgressMessage { id, status: text, ..Default::default() }
        }
        Progress::Status { id, status, current, total } => ProgressMessage {
            id,
            status,
            progress: bar(current, total),
            progress_detail: Some(ProgressDetail { current, total }),
            ..Default::default()
        },
        Progress::Pushed { tag, digest, size } => ProgressMessage {
            progress_detail: Some(ProgressDetail::default()),
            aux: Some(PushResult { tag, digest, size }),
            ..Default::default()
        },
        Progress::Error(message) => ProgressMessage {
            error: message.clone(),
            error_detail: Some(ErrorDetail { message }),
            ..Default::default()
        },
    }
}

/// `[====>     ]  1.2MB/3MB`, for clients that do not draw their own.
fn bar(current: u64, total: u64) -> String {
    if current == 0 && total == 0 {
        return String::new();
    }
    if current > total || total == 0 {
        return format!("{:>8}", size(current));
    }
    let filled = usize::try_from(current.saturating_mul(BAR_WIDTH as u64) / total)
        .unwrap_or(BAR_WIDTH)
        .min(BAR_WIDTH);
    let (done, left) = ("=".repeat(filled), " ".repeat(BAR_WIDTH - filled));
    format!("[{done}>{left}] {:>8}/{}", size(current), size(total))
}

const BAR_WIDTH: usize = 50;

/// Four significant digits, decimal units.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    // Sizes are shown rounded, so that the loss in the conversion cannot be seen.
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        v if v < 10.0 => 3,
        v if v < 100.0 => 2,
        _ => 1,
    };
    let digits = format!("{value:.decimals$}");
    format!("{}{}", digits.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_ends_with_cr_lf() {
        let line = encode(Progress::Stream("Loaded image: foo:1\n".to_owned()));
        assert_eq!(&line[..], b"{\"stream\":\"Loaded image: foo:1\\n\"}\r\n");
    }

    #[test]
    fn an_error_comes_in_both_forms() {
        let line = encode(Progress::Error("no".to_owned()));
        assert_eq!(&line[..], b"{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n");
    }

    #[test]
    fn a_status_has_numbers_and_a_bar() {
        let line = encode(Progress::Status {
            id: "abc".to_owned(),
            status: "Loading layer".to_owned(),
            current: 1_500_000,
            total: 3_000_000,
        });
        let message: ProgressMessage = serde_json::from_slice(&line).unwrap();
        assert_eq!(message.id, "abc");
        assert_eq!(message.progress_detail.unwrap().current, 1_500_000);
        assert_eq!(
            message.progress,
            format!("[{}>{}]    1.5MB/3MB", "=".repeat(25), " ".repeat(25))
        );
    }

    #[test]
    fn a_message_has_no_numbers_and_a_push_tells_its_digest() {
        let line = encode(Progress::Message { id: "1".to_owned(), text: "Pulling".to_owned() });
        assert_eq!(&line[..], b"{\"status\":\"Pulling\",\"id\":\"1\"}\r\n");
        let pushed =
            Progress::Pushed { tag: "1".to_owned(), digest: "sha256:a".to_owned(), size: 9 };
        assert_eq!(
            String::from_utf8_lossy(&encode(pushed)),
            "{\"progressDetail\":{},\"aux\":{\"Tag\":\"1\",\"Digest\":\"sha256:a\",\"Size\":9}}\r\n"
        );
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0B");
        assert_eq!(size(999), "999B");
        assert_eq!(size(1000), "1kB");
        assert_eq!(size(4_493_312), "4.493MB");
        assert_eq!(size(123_456_789), "123.5MB");
    }
}
