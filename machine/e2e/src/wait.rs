//! Waiting for something to become true.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take to become true.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is yes; fails with the last answer after half a minute.
/// Every question is a real command, which takes its time: there is no need to pause in between.
pub fn eventually(what: &str, mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        if begun.elapsed() > LIMIT {
            bail!("not within {} s: {what} ({answer:?})", LIMIT.as_secs());
        }
        std::thread::yield_now();
    }
}
