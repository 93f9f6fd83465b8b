//! Stop, if it runs, and start.

use crate::driver::{Progress, Started};
use crate::{Error, MachineName, Machines, Outcome, StartOptions};

impl Machines {
    /// Starts the machine anew. One that is stopped is just started, and one that is suspended goes
    /// on where it was.
    pub async fn restart(
        &self,
        name: &MachineName,
        options: StartOptions,
        progress: &dyn Progress,
    ) -> Result<Outcome<Started>, Error> {
        let lock = self.lock_complete(name)?;
        self.own_record(name, "restarted")?;
        self.stop_locked(&lock, name).await?;
        self.start_locked(&lock, name, options, progress).await
    }
}
