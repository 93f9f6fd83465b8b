//! Changes that are not cut in the middle, although whoever asked for them may go at any time.

use crate::error::{Error, Result};

/// Runs a step to its end, even if nobody waits for it any more. Cut, the disk could have an image
/// that the memory does not know, and whose layers would go.
pub(super) async fn whole<T: Send + 'static>(
    step: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(step)
        .await
        .map_err(|lost| Error::internal("a change of the images did not complete", lost))?
}
