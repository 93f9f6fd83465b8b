//! What is run against which engine.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use libtest_mimic::{Failed, Trial};

use crate::compare::Accepted;
use crate::engine::Engine;
use crate::{checks, docker_py, golden};

/// The socket of the engine under test.
const ENGINE: &str = "ENGINE_SOCKET";
/// The socket of a dockerd.
const REFERENCE: &str = "REFERENCE_SOCKET";
/// Why there is none.
const WITHOUT: &str = "WITHOUT_REFERENCE";

/// Every check, for each of the engines that are there, and, if they are compared, the differences
/// that are accepted.
pub(crate) fn trials() -> Result<(Vec<Trial>, Option<Arc<Accepted>>)> {
    let mut compared = None;
    let socket = std::env::var_os(ENGINE)
        .with_context(|| format!("{ENGINE} is not set: run scripts/conformance"))?;
    let engine = Arc::new(Engine::new("machine", PathBuf::from(socket))?);
    let reference = match std::env::var_os(REFERENCE) {
        Some(socket) => Ok(Arc::new(Engine::new("dockerd", PathBuf::from(socket))?)),
        None => Err(std::env::var(WITHOUT).unwrap_or_else(|_| format!("{REFERENCE} is not set"))),
    };
    let mut trials = of_engine(&engine);
    match reference {
        Ok(reference) => {
            trials.extend(of_engine(&reference));
            let accepted = golden::accepted()?;
            trials.extend(golden::trials(&engine, &reference, &accepted));
            compared = Some(accepted);
        }
        Err(reason) => trials.push(without_reference(&reason)),
    }
    trials.push(trial("docker_py", docker_py::run));
    Ok((trials, compared))
}

/// A trial from what may fail in our way.
pub(crate) fn trial(name: &str, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}"))))
}

fn of_engine(engine: &Arc<Engine>) -> Vec<Trial> {
    checks::all()
        .filter(|(_, check)| check.runs_on(engine))
        .map(|(group, check)| {
            let engine = Arc::clone(engine);
            let name = format!("{}::{group}::{}", engine.name, check.rule);
            trial(&name, move || (check.run)(&engine))
        })
        .collect()
}

/// Shows the reason in the list of trials, as ignored.
fn without_reference(reason: &str) -> Trial {
    Trial::test(format!("dockerd and the comparisons with it: {reason}"), || Ok(()))
        .with_ignored_flag(true)
}
