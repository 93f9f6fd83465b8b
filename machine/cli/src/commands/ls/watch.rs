//! `machine ls --watch`: what is, then what changes, one JSON object a line.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::filter::Filters;
use super::row::{Needs, Row};
use super::{Args, rows};
use crate::Context;
use crate::commands::{DONE, Outcome};

/// Between two looks. A machine's state is asked of its supervisor and its guest: nobody tells it
/// to whom it may concern, so there is no event to wait for.
const LOOK: Duration = Duration::from_millis(500);

/// Comings and goings come in bursts; one look is for all of a burst.
const BURST: Duration = Duration::from_millis(20);

/// What is told of a machine.
type Seen = BTreeMap<String, Value>;

pub(super) async fn run(args: &Args, filters: &Filters, context: &Context) -> Outcome {
    // The engine's version and health are no state of the machine.
    let needs = Needs { state: true, version: false };
    let directory = Directory::watch(context);
    let mut before: Option<Seen> = None;
    loop {
        let rows = rows(args, filters, needs, context).await?;
        let now: Seen = rows.iter().map(|row| (row.machine.name.clone(), told(row))).collect();
        for (event, machine) in changes(before.as_ref(), &now) {
            let mut machine = machine.clone();
            if let Value::Object(fields) = &mut machine {
                fields.insert("Event".to_owned(), event.into());
            }
            if context.ui.raw_result(format!("{machine}\n").as_bytes()).is_err() {
                return DONE;
            }
        }
        before = Some(now);
        directory.changed_or(LOOK).await;
        if context.ui.is_unread() {
            return DONE;
        }
    }
}

fn told(row: &Row) -> Value {
    let mut machine = row.to_json();
    if let Value::Object(fields) = &mut machine {
        fields.remove("DockerVersion");
    }
    machine
}

/// What happened between two looks.
fn changes<'a>(before: Option<&'a Seen>, now: &'a Seen) -> Vec<(&'static str, &'a Value)> {
    let Some(before) = before else {
        return now.values().map(|machine| ("present", machine)).collect();
    };
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    let gone = gone.map(|(_, machine)| ("removed", machine));
    let others = now.iter().filter_map(|(name, machine)| match before.get(name) {
        None => Some(("created", machine)),
        Some(old) if old != machine => Some(("changed", machine)),
        Some(_) => None,
    });
    gone.chain(others).collect()
}

/// Tells at once when a machine comes or goes, where the system can.
#[cfg(target_os = "linux")]
struct Directory {
    notices: Option<std::sync::Arc<rustix::fd::OwnedFd>>,
}

#[cfg(target_os = "linux")]
impl Directory {
    fn watch(context: &Context) -> Self {
        use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
        let some = context.machines.store().paths("x");
        let watched = || {
            let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let comings_and_goings = WatchFlags::MOVE | WatchFlags::CREATE | WatchFlags::DELETE;
            let parent = some.directory().parent().unwrap_or(some.directory());
            inotify::add_watch(&notices, parent, comings_and_goings)?;
            rustix::io::Result::Ok(std::sync::Arc::new(notices))
        };
        // Without it changes are seen at the next look.
        Self { notices: watched().ok() }
    }

    async fn changed_or(&self, limit: Duration) {
        let Some(notices) = self.notices.clone() else {
            return tokio::time::sleep(limit).await;
        };
        let waited = tokio::task::spawn_blocking(move || wait(&notices, limit));
        if waited.await.unwrap_or_default() {
            tokio::time::sleep(BURST).await;
        }
    }
}

/// Whether there was a notice. What it says does not matter: everything is looked at again.
#[cfg(target_os = "linux")]
fn wait(notices: &rustix::fd::OwnedFd, limit: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(limit).ok();
    let noticed = poll(&mut [PollFd::new(notices, PollFlags::IN)], limit.as_ref());
    let mut buffer = [0; 4096];
    while rustix::io::read(notices, &mut buffer).is_ok_and(|length| length > 0) {}
    noticed.is_ok_and(|count| count > 0)
}

#[cfg(not(target_os = "linux"))]
struct Directory;

#[cfg(not(target_os = "linux"))]
impl Directory {
    fn watch(_context: &Context) -> Self {
        Self
    }

    async fn changed_or(&self, limit: Duration) {
        tokio::time::sleep(limit).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(machines: &[(&str, &str)]) -> Seen {
        machines.iter().map(|(name, state)| ((*name).to_owned(), Value::from(*state))).collect()
    }

    #[test]
    fn everything_is_told_once_and_then_what_changes() {
        let first = seen(&[("a", "Running"), ("b", "Stopped"), ("c", "Running")]);
        let told = |changes: Vec<(&str, &Value)>| {
            changes.iter().map(|(event, _)| *event).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(changes(None, &first)), "present present present");
        assert_eq!(told(changes(Some(&first), &first)), "");
        let second = seen(&[("a", "Stopped"), ("c", "Running"), ("d", "Running")]);
        assert_eq!(told(changes(Some(&first), &second)), "removed changed created");
    }
}
