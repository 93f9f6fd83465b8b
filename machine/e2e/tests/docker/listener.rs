//! A `docker events` that listens while a check works. An engine remembers its last 256 events, and
//! other checks push them out.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use machine_e2e::eventually;

use crate::fixture::Fixture;

/// Listens until it is dropped.
pub(crate) struct Listener {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// To what the filter lets through, in this form, from the last minutes on.
    pub(crate) fn start(on: &Fixture, filter: &str, format: &str) -> Result<Self> {
        let words = ["events", "--since", "10m", "--filter", filter, "--format", format];
        let mut child = on.docker(words).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Ok(mut heard) = heard.lock() {
                    heard.push(line);
                }
            }
        });
        Ok(Self { child, told })
    }

    /// What it has heard so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().map(|told| told.clone()).unwrap_or_default()
    }

    /// All of it up to the first line that begins so; waits for that.
    pub(crate) fn told_up_to(&self, last: &str) -> Result<Vec<String>> {
        let mut told = Vec::new();
        eventually(&format!("{last} is told"), || {
            told = self.told();
            Ok(told.iter().any(|line| line.starts_with(last)))
        })
        .with_context(|| told.join("\n"))?;
        Ok(told)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
