//! Inputs that almost make sense, for the tests of everything that reads bytes from outside.
//!
//! A round takes one of the seeds, damages it in a few places and hands it over. The rounds are the
//! same in every run, so a failure can be repeated; `FUZZ_ROUNDS` asks for more of them, and
//! `FUZZ_FIRST` for others.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// How many rounds a test makes if nobody asks for more.
const ROUNDS: u64 = 2000;
/// No input is longer: a parser that is slow with long inputs has a test of its own.
const LONGEST: usize = 64 * 1024;
/// Damages to one seed.
const MOST_DAMAGES: u32 = 8;

/// What parsers stumble over, whatever they parse.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"/",
    b"//",
    b"..",
    b"../",
    b":",
    b"::",
    b",",
    b"=",
    b"@",
    b"%",
    b"%00",
    b"%ff",
    b"&",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"-",
    b"-1",
    b"0",
    b"1e999",
    b"1.5",
    b"2147483648",
    b"4294967296",
    b"9223372036854775808",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa5",
    b"sha256:",
    b"0000000000000000000000000000000000000000",
];

/// Calls `target` with each round's input. When it panics, the input is shown.
pub fn rounds<S: AsRef<[u8]>>(seeds: &[S], mut target: impl FnMut(&[u8])) {
    let first = setting("FUZZ_FIRST").unwrap_or(0);
    let count = setting("FUZZ_ROUNDS").unwrap_or(ROUNDS);
    for round in first..first.saturating_add(count) {
        let input = input(seeds, round);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&input))) {
            show(round, &input);
            resume_unwind(panic);
        }
    }
}

/// The same with inputs that are text.
pub fn text_rounds(seeds: &[&str], mut target: impl FnMut(&str)) {
    rounds(seeds, |input| target(&String::from_utf8_lossy(input)));
}

/// The input of one round; the rounds of the first seeds are the seeds as they are.
pub fn input<S: AsRef<[u8]>>(seeds: &[S], round: u64) -> Vec<u8> {
    if let Some(seed) = usize::try_from(round).ok().and_then(|round| seeds.get(round)) {
        return seed.as_ref().to_vec();
    }
    let mut random = SmallRng::seed_from_u64(round);
    let mut bytes = pick(seeds, &mut random).to_vec();
    for _ in 0..random.random_range(1..=MOST_DAMAGES) {
        damage(&mut bytes, seeds, &mut random);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn damage<S: AsRef<[u8]>>(bytes: &mut Vec<u8>, seeds: &[S], random: &mut SmallRng) {
    let at = random.random_range(0..=bytes.len());
    let end = (at + random.random_range(0..=16)).min(bytes.len());
    match random.random_range(0..7) {
        0 => drop(bytes.drain(at..end)),
        1 => bytes.truncate(at),
        2 => insert(bytes, at, pick(WORDS, random)),
        3 => drop(bytes.splice(at..end, pick(WORDS, random).iter().copied())),
        4 => {
            let repeated = bytes[at..end].repeat(random.random_range(1..=64));
            insert(bytes, at, &repeated);
        }
        5 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        _ => {
            let other = pick(seeds, random);
            let from = random.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, inserted: &[u8]) {
    drop(bytes.splice(at..at, inserted.iter().copied()));
}

fn pick<'a, S: AsRef<[u8]>>(from: &'a [S], random: &mut SmallRng) -> &'a [u8] {
    from.choose(random).map_or(&[], AsRef::as_ref)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::print_stderr, reason = "a test tells what it failed with")]
fn show(round: u64, input: &[u8]) {
    eprintln!("FUZZ_FIRST={round} FUZZ_ROUNDS=1: {}", input.escape_ascii());
}

#[cfg(test)]
mod tests {
    use super::{input, rounds};

    #[test]
    fn the_seeds_come_first_and_every_run_is_the_same() {
        let seeds = ["one", "two"];
        assert_eq!(input(&seeds, 1), b"two");
        assert_eq!(input(&seeds, 77), input(&seeds, 77));
        let mut different = std::collections::HashSet::new();
        rounds(&seeds, |bytes| {
            different.insert(bytes.to_vec());
        });
        assert!(different.len() > 1000, "{}", different.len());
    }
}
