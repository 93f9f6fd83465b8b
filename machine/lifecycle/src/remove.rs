//! Ending a machine for good.

use crate::driver::{Progress, Stop};
use crate::{Error, MachineName, Machines};

/// Whether files are removed even if the VM cannot be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    Yes,
    No,
}

impl Machines {
    /// Powers the machine off and removes everything of it, whether it is complete or not.
    pub async fn remove(
        &self,
        name: &MachineName,
        force: Force,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        self.require(name)?;
        let lock = self.lock(name)?;
        if let Err(source) = self.driver.stop(&self.files(name), Stop::Kill).await {
            if force == Force::No {
                return Err(Error::Driver { name: name.clone(), action: "removed", source });
            }
            progress.warning(&format!("machine \"{name}\" could not be ended: {source}"));
        }
        self.store.remove(&lock, name.as_str())?;
        lock.remove();
        Ok(())
    }
}
