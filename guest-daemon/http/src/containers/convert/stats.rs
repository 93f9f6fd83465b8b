//! What a container uses, as `docker stats` reads it.

use engine::containers::Stats;
use engine::ports::{CpuUsage, DeviceUsage, InterfaceUsage};
use engine_api::stats as api;

use crate::times;

pub(in crate::containers) fn to_api(stats: Stats) -> api::Stats {
    let usage = stats.usage;
    api::Stats {
        name: format!("/{}", stats.name),
        id: stats.id,
        read: times::rfc3339_or_never(stats.read),
        preread: times::rfc3339_or_never(stats.previous_read),
        pids_stats: api::PidsStats { current: usage.processes, limit: usage.process_limit },
        blkio_stats: api::BlkioStats {
            io_service_bytes_recursive: (!usage.devices.is_empty())
                .then(|| usage.devices.iter().flat_map(device).collect()),
            ..api::BlkioStats::default()
        },
        cpu_stats: cpu(&usage.cpu),
        precpu_stats: cpu(&stats.previous_cpu),
        memory_stats: api::MemoryStats {
            usage: usage.memory.bytes,
            stats: usage.memory.details,
            failcnt: usage.memory.failures,
            limit: usage.memory.limit,
        },
        networks: usage.networks.iter().map(|(name, it)| (name.clone(), network(it))).collect(),
        ..api::Stats::default()
    }
}

fn device(device: &DeviceUsage) -> [api::BlkioEntry; 2] {
    let DeviceUsage { major, minor, read, written } = *device;
    let entry = |op, value| api::BlkioEntry { major, minor, op, value };
    [entry("read", read), entry("write", written)]
}

fn cpu(usage: &CpuUsage) -> api::CpuStats {
    api::CpuStats {
        cpu_usage: api::CpuUsage {
            total_usage: usage.total,
            usage_in_kernelmode: usage.kernel,
            usage_in_usermode: usage.user,
        },
        system_cpu_usage: usage.system,
        online_cpus: usage.online_cpus,
        throttling_data: api::ThrottlingData {
            periods: usage.periods,
            throttled_periods: usage.throttled_periods,
            throttled_time: usage.throttled_time,
        },
    }
}

fn network(usage: &InterfaceUsage) -> api::NetworkStats {
    api::NetworkStats {
        rx_bytes: usage.received.bytes,
        rx_packets: usage.received.packets,
        rx_errors: usage.received.errors,
        rx_dropped: usage.received.dropped,
        tx_bytes: usage.sent.bytes,
        tx_packets: usage.sent.packets,
        tx_errors: usage.sent.errors,
        tx_dropped: usage.sent.dropped,
    }
}
