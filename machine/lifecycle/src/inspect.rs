//! Everything that is known of one machine.

use machine_store::{Layout, MachinePaths, MachineRecord};

use crate::{Error, MachineName, Machines, State};

/// A machine as it is stored and as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub name: MachineName,
    pub state: State,
    pub record: MachineRecord,
    pub paths: MachinePaths,
    pub layout: Layout,
}

impl Machines {
    /// What a machine does now.
    pub async fn status(&self, name: &MachineName) -> Result<State, Error> {
        self.require(name)?;
        if self.is_leftover(name) { Ok(State::Error) } else { self.state(name).await }
    }

    /// All there is to know.
    pub async fn inspect(&self, name: &MachineName) -> Result<Inspection, Error> {
        Ok(Inspection {
            state: self.status(name).await?,
            record: self.store.record(name.as_str())?,
            paths: self.store.paths(name.as_str()),
            layout: self.store.layout().clone(),
            name: name.clone(),
        })
    }
}
