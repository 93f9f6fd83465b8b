//! What QEMU reports by itself.

use serde_json::Value;

/// The events somebody acts on; every other one is [`Event::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The vCPUs do not run any more; [`super::Qmp::status`] says why.
    Stopped,
    Resumed,
    /// QEMU is about to end.
    Shutdown {
        reason: String,
    },
    /// The guest starts again from its first instruction.
    Reset,
    Panicked,
    /// The guest opened or closed its end of a virtio-serial port.
    PortOpened {
        id: String,
        open: bool,
    },
    Other(String),
}

impl Event {
    pub(super) fn from_json(name: &str, data: &Value) -> Self {
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        match name {
            "STOP" => Self::Stopped,
            "RESUME" => Self::Resumed,
            "SHUTDOWN" => Self::Shutdown { reason: text("reason") },
            "RESET" => Self::Reset,
            "GUEST_PANICKED" => Self::Panicked,
            "VSERPORT_CHANGE" => {
                Self::PortOpened { id: text("id"), open: data["open"].as_bool() == Some(true) }
            }
            _ => Self::Other(name.to_owned()),
        }
    }
}
