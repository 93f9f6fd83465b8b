//! What a container has used, as the kernel counts it.

use std::collections::BTreeMap;

/// Since the container started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu: CpuUsage,
    pub memory: MemoryUsage,
    pub devices: Vec<DeviceUsage>,
    pub processes: u64,
    /// `u64::MAX` is unlimited.
    pub process_limit: u64,
    /// By the interface's name in the container, without its loopback.
    pub networks: BTreeMap<String, InterfaceUsage>,
}

/// Times are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    pub total: u64,
    pub user: u64,
    pub kernel: u64,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
    /// Of the whole guest, idle time too.
    pub system: u64,
    pub online_cpus: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    pub bytes: u64,
    /// `u64::MAX` is unlimited.
    pub limit: u64,
    /// How often the limit was reached and nothing could be freed.
    pub failures: u64,
    /// The kernel's own numbers, by its names.
    pub details: BTreeMap<String, u64>,
}

/// Bytes read from and written to a block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceUsage {
    pub major: u64,
    pub minor: u64,
    pub read: u64,
    pub written: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceUsage {
    pub received: Traffic,
    pub sent: Traffic,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub bytes: u64,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
}
