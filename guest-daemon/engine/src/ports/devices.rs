//! Devices of the guest that a container may use, and how.

/// One, or all in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// In the guest.
    pub source: String,
    /// In the container.
    pub destination: String,
    pub access: DeviceAccess,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceAccess {
    pub read: bool,
    pub write: bool,
    /// Making nodes of it.
    pub make: bool,
}

/// Devices by number; `None` is every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    pub kind: DeviceKind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: DeviceAccess,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    Any,
    Block,
    Character,
}

/// A device's part in what is shared out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceWeight {
    pub path: String,
    pub weight: u16,
}

/// The most that may be done with a device in a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    pub path: String,
    pub what: Throttled,
    pub rate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    BytesRead,
    BytesWritten,
    Reads,
    Writes,
}
