//! Whole documents of our engine beside those of dockerd for the same question.

mod containers;
mod create;
mod events;
mod system;
mod wrong_calls;

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::compare::{Accepted, differences};
use crate::engine::Engine;
use crate::mask::mask;
use crate::suite::trial;

type Question = Box<dyn Fn(&Engine) -> Result<Value> + Send + Sync>;

/// A question to an engine.
pub(crate) struct Topic {
    name: String,
    ask: Question,
}

impl Topic {
    fn new(
        name: impl Into<String>,
        ask: impl Fn(&Engine) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), ask: Box::new(ask) }
    }
}

/// One trial for each topic.
pub(crate) fn trials(
    ours: &Arc<Engine>,
    theirs: &Arc<Engine>,
    accepted: &Arc<Accepted>,
) -> Vec<Trial> {
    let mut topics = system::topics();
    topics.extend(create::topics());
    topics.extend(containers::topics());
    topics.extend(events::topics());
    topics.extend(wrong_calls::topics());
    let into_trial = |topic: Topic| {
        let (ours, theirs, accepted) = (ours.clone(), theirs.clone(), accepted.clone());
        trial(&format!("golden::{}", topic.name.clone()), move || {
            compare(&topic, &ours, &theirs, &accepted)
        })
    };
    topics.into_iter().map(into_trial).collect()
}

/// The differences that are as they should be.
pub(crate) fn accepted() -> Result<Arc<Accepted>> {
    Accepted::parse(include_str!("../../golden/accepted.txt")).map(Arc::new)
}

fn compare(topic: &Topic, ours: &Engine, theirs: &Engine, accepted: &Accepted) -> Result<()> {
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| masked(topic, theirs));
        let ours = masked(topic, ours);
        (ours, theirs.join())
    });
    let (ours, theirs) = (ours?, theirs.map_err(|_| anyhow!("asking dockerd panicked"))??);
    let found: Vec<String> = differences(&ours, &theirs)
        .into_iter()
        .filter(|difference| !accepted.has(&topic.name, &difference.place))
        .map(|difference| format!("{} {}: {}", topic.name, difference.place, difference.shown))
        .collect();
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn masked(topic: &Topic, engine: &Engine) -> Result<Value> {
    let mut document = (topic.ask)(engine)?;
    mask(&mut document, &engine.data_root);
    Ok(document)
}
