//! 1.28: output over a WebSocket is binary, not text.

use crate::stream::websocket::Frames;
use crate::version::ApiVersion;

pub(crate) fn websocket_frames(version: ApiVersion) -> Frames {
    if version < ApiVersion::new(1, 28) { Frames::Text } else { Frames::Binary }
}
