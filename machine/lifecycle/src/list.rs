//! All machines at a glance.

use std::time::Duration;

use crate::spec::DRIVER;
use crate::{Error, MachineName, Machines, State, connect};
use machine_store::Presence;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub driver: String,
    pub state: State,
    /// Of a running machine.
    pub url: Option<String>,
    /// What is wrong with it.
    pub error: Option<String>,
}

impl Machines {
    /// Every machine, in natural order. They are asked all at once, and none holds up the others:
    /// one that does not answer within `patience` hangs, and nothing takes longer than `timeout`.
    pub async fn list(&self, timeout: Duration, patience: Duration) -> Result<Vec<Listed>, Error> {
        let names = self.names()?;
        let listed = names.iter().map(|name| self.listed(name, timeout, patience));
        Ok(futures::future::join_all(listed).await)
    }

    /// The names of every machine, in natural order.
    pub fn names(&self) -> Result<Vec<MachineName>, Error> {
        let names = self.store.names()?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn listed(&self, name: &MachineName, timeout: Duration, patience: Duration) -> Listed {
        let row = |state, error: Option<String>| Listed {
            name: name.to_string(),
            driver: DRIVER.to_owned(),
            state,
            url: None,
            error,
        };
        let record = match self.store.record(name.as_str()) {
            Ok(record) => record,
            Err(error) => {
                let broken = row(State::Error, Some(error.to_string()));
                return Listed { driver: "not found".to_owned(), ..broken };
            }
        };
        if self.is_leftover(name) {
            let error = Error::Unfinished { name: name.clone() };
            return row(State::Error, Some(error.to_string()));
        }
        match tokio::time::timeout(timeout, self.state_within(name, patience)).await {
            Err(_) => row(State::Timeout, None),
            Ok(Err(error)) => row(State::Error, Some(chain(&error))),
            Ok(Ok(State::Error)) => row(State::Error, Some("it does not answer".to_owned())),
            Ok(Ok(state)) => {
                let url = (state == State::Running).then(|| connect::url_of(&record));
                Listed { driver: record.driver, url, ..row(state, None) }
            }
        }
    }

    /// Whether a machine's creation was interrupted: it is not finished, and nobody is at it.
    pub(crate) fn is_leftover(&self, name: &MachineName) -> bool {
        self.store.presence(name.as_str()) == Presence::Unfinished
            && self.store.try_lock(name.as_str()).is_ok()
            && self.store.presence(name.as_str()) == Presence::Unfinished
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
