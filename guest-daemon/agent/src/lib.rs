//! What the host and the guest say over virtio-serial ports: the QEMU guest agent protocol, and
//! the ports themselves.
//!
//! **Invariant:** a host that is not connected, or says nonsense, costs no processor time and no
//! memory beyond a fixed bound.

mod commands;
mod framing;
mod port;
mod server;
mod system;

pub use port::{KernelEvents, Port, PortEvent, PortWriter};
pub use server::serve;
pub use system::{Ending, GuestSystem, System};
