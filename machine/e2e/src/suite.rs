//! Runs many checks against one fixture, as a test program that cargo understands.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

/// A rule and how it is checked.
pub type Check<F> = (&'static str, fn(&F) -> Result<()>);

/// Checks that share a fixture.
#[derive(Debug)]
pub struct Suite<F> {
    fixture: Arc<F>,
    trials: Vec<Trial>,
}

impl<F: Send + Sync + 'static> Suite<F> {
    pub fn new(fixture: F) -> Self {
        Self { fixture: Arc::new(fixture), trials: Vec::new() }
    }

    /// Adds checks; `group` precedes their names.
    pub fn add(&mut self, group: &str, checks: &[Check<F>]) {
        for (name, check) in checks {
            let (fixture, check) = (Arc::clone(&self.fixture), *check);
            self.trials.push(Trial::test(format!("{group}::{name}"), move || {
                check(&fixture).map_err(|error| Failed::from(format!("{error:?}")))
            }));
        }
    }
}

/// Builds the suite, runs it, and drops the fixture. `at_once` bounds how many checks run together.
pub fn main<F: Send + Sync + 'static>(
    at_once: usize,
    build: impl FnOnce() -> Result<Suite<F>>,
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(at_once);
    let trials = match build() {
        Ok(suite) => suite.trials,
        Err(error) => {
            // Whatever was asked for, none of it can be checked.
            (arguments.filter, arguments.skip) = (None, Vec::new());
            vec![Trial::test("fixture", move || Err(Failed::from(format!("{error:?}"))))]
        }
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}
