//! Rules that hold for any engine of the Docker API, each checked from outside.

mod copying;
mod exec;
mod images;
mod life;
mod logs;
mod run;
mod streams;
mod volumes;

use anyhow::Result;

use crate::engine::Engine;

pub(crate) struct Check {
    pub(crate) rule: &'static str,
    pub(crate) run: fn(&Engine) -> Result<()>,
    /// Why the dockerd of this suite cannot be asked.
    pub(crate) ours_only: Option<&'static str>,
}

impl Check {
    const fn new(rule: &'static str, run: fn(&Engine) -> Result<()>) -> Self {
        Self { rule, run, ours_only: None }
    }

    /// Runs on our engine alone, for a reason.
    const fn ours_only(mut self, why: &'static str) -> Self {
        self.ours_only = Some(why);
        self
    }

    pub(crate) fn runs_on(&self, engine: &Engine) -> bool {
        self.ours_only.is_none() || engine.name == "machine"
    }
}

/// Every check with its group.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static Check)> {
    let groups: [(&str, &[Check]); _] = [
        ("run", run::CHECKS),
        ("life", life::CHECKS),
        ("exec", exec::CHECKS),
        ("logs", logs::CHECKS),
        ("streams", streams::CHECKS),
        ("copying", copying::CHECKS),
        ("volumes", volumes::CHECKS),
        ("images", images::CHECKS),
    ];
    groups.into_iter().flat_map(|(group, checks)| checks.iter().map(move |check| (group, check)))
}
