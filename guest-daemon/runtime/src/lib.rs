//! Namespaces, cgroups, mounts, seccomp and terminals, behind the engine's Runtime port.
//!
//! **Invariant:** the daemon has threads, so it never forks; whatever needs a fork is done by the
//! starter, which is this program once more with [`role_main`] as its body. Processes of
//! containers are children of PID 1 and their pipes are kept there, so they outlive the daemon.

mod adapter;
mod attach;
mod beneath;
mod block_io;
mod capabilities;
mod cgroup;
mod channel;
mod clone;
mod container_init;
mod create;
mod credentials;
mod device_filter;
mod devices;
mod exec;
mod executable;
mod failure;
mod identity;
mod images;
mod memory_kills;
mod mount_options;
mod nodes;
mod overlay;
mod plan;
mod prepare;
mod process;
mod process_table;
mod program;
mod propagation;
mod records;
mod role;
mod rootfs;
mod seccomp;
mod shared_memory;
mod signals;
mod start;
mod starter;
mod stdio;
mod streams;
mod sysctls;
mod terminal;
mod usage;
mod user_namespace;
mod view;
mod volumes;

pub use adapter::NamespaceRuntime;
pub use container_init::{container_init, is_container_init};
pub use role::role_main;
