//! Namespaces, cgroups, mounts, seccomp and terminals, behind the engine's Runtime port.
//!
//! **Invariant:** the daemon has threads, so it never forks; whatever needs a fork is done by a
//! helper, which is this program started anew with [`role_main`] as its body. Processes of
//! containers become children of PID 1 and their pipes are kept there, so they outlive the daemon.

mod adapter;
mod beneath;
mod capabilities;
mod cgroup;
mod channel;
mod create;
mod device_filter;
mod exec;
mod executable;
mod failures;
mod identity;
mod nodes;
mod oci;
mod overlay;
mod payload;
mod prepare;
mod process_table;
mod records;
mod role;
mod seccomp;
mod signals;
mod starter;
mod stdio;
mod streams;

pub use adapter::LibcontainerRuntime;
pub use role::role_main;
