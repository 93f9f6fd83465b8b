//! The driver with the real QEMU and the real supervisor process. There is no guest image here:
//! the guest is a few bytes of machine code, which is enough to print, to hang and to die.
#![cfg(target_arch = "x86_64")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod disk;
mod docker_socket;
mod failing_starts;
mod harness;
mod kernel;
mod pauses;
mod running_machines;
mod saved_machines;
mod truth;
