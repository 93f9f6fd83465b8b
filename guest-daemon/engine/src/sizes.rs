//! Sizes as people write them for dockerd: `10m`, `1.5 GB`, `64KiB`.

/// Powers of 1000: sizes of files.
pub(crate) fn decimal(text: &str) -> Result<u64, String> {
    parse(text, 1000.0)
}

/// Powers of 1024: sizes in memory.
pub(crate) fn binary(text: &str) -> Result<u64, String> {
    parse(text, 1024.0)
}

fn parse(text: &str, thousand: f64) -> Result<u64, String> {
    let Some(last) = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ') else {
        return Err(format!("invalid size: '{text}'"));
    };
    let (number, suffix) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let size: f64 = number
        .parse()
        .map_err(|_| format!("strconv.ParseFloat: parsing \"{number}\": invalid syntax"))?;
    if size < 0.0 {
        return Err(format!("invalid size: '{text}'"));
    }
    let suffix = suffix.to_ascii_lowercase();
    let power = match suffix.as_bytes() {
        [] | [b'b'] => Some(0),
        [unit] | [unit, b'b'] | [unit, b'i', b'b'] => {
            b"kmgtp".iter().zip(1..).find(|(known, _)| *known == unit).map(|(_, power)| power)
        }
        _ => None,
    };
    let power = power.ok_or_else(|| format!("invalid suffix: '{suffix}'"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates, which is what is wanted"
    )]
    Ok((size * thousand.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        assert_eq!(decimal("10m"), Ok(10_000_000));
        assert_eq!(binary("1.5KiB"), Ok(1536));
        assert_eq!(decimal("4 kb"), Ok(4000));
        assert_eq!(decimal("12"), Ok(12));
        assert_eq!(decimal("big"), Err("invalid size: 'big'".to_owned()));
        assert_eq!(decimal("-1"), Err("invalid size: '-1'".to_owned()));
        assert_eq!(decimal("1x"), Err("invalid suffix: 'x'".to_owned()));
    }

    #[test]
    fn damaged_sizes_are_understood_or_refused() {
        let seeds = ["10m", "1.5gb", "18446744073709551615.9", "16777215.99999t", "1e999 kib"];
        fuzz::text_rounds(&seeds, |text| {
            let _ = decimal(text);
        });
    }
}
