//! What a container has of its own, and what it shares.

/// Which namespace of a kind to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NamespaceMode {
    /// One of its own.
    #[default]
    Private,
    /// The guest's.
    Host,
    /// That of another container, by id.
    Container(String),
}

/// What a container with an IPC namespace of its own has at /dev/shm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SharedMemory {
    #[default]
    Private,
    /// Other containers may join the namespace and have the same.
    Shareable,
    Absent,
}

/// The container's user 0 is the guest's user `first`, and so on; groups likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserMap {
    pub first: u32,
    pub count: u32,
}
