//! From a VM's description to QEMU's arguments, launch, QMP.
//!
//! **Invariant:** nothing here decides what a machine should be or waits for a guest; it says to
//! QEMU what its caller decided, and says back what QEMU answered.

pub mod agent;
pub mod arguments;
pub mod disk;
pub mod launch;
mod lines;
pub mod probe;
pub mod qmp;
pub mod spec;
