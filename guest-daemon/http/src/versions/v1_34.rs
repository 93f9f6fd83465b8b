//! 1.30 and 1.34: waiting has conditions and answers its head at once; later it also says when a
//! container could not be removed.

use crate::version::ApiVersion;

/// How a wait behaves.
pub(crate) struct WaitManners {
    pub(crate) knows_conditions: bool,
    pub(crate) head_at_once: bool,
    pub(crate) tells_removal_errors: bool,
}

pub(crate) fn wait_manners(version: ApiVersion) -> WaitManners {
    let since_1_30 = version >= ApiVersion::new(1, 30);
    WaitManners {
        knows_conditions: since_1_30,
        head_at_once: since_1_30,
        tells_removal_errors: version >= ApiVersion::new(1, 34),
    }
}
