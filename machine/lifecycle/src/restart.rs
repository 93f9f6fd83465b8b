//! Stop, if it runs, and start.

use std::time::Duration;

use crate::driver::{Progress, Started};
use crate::{Error, MachineName, Machines, Outcome};

impl Machines {
    /// Starts the machine anew. One that is stopped is just started.
    pub async fn restart(
        &self,
        name: &MachineName,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Outcome<Started>, Error> {
        let lock = self.lock_complete(name)?;
        self.stop_locked(&lock, name).await?;
        self.start_locked(&lock, name, timeout, progress).await
    }
}
