//! The process that outlives the command: owns one QEMU, answers for it.
//!
//! ```text
//!  command                          supervisor (own session)            QEMU
//!  QemuDriver::start ── spawn ────► supervise()
//!      VmSpec ───────── stdin ────►   lock, ports, sockets ── spawn ──► paused
//!      steps, warnings ◄─ stdout ──   disk size, resume ───── QMP ────► boots
//!                                     Ready ◄──────────── control ───── guest
//!                                     GET /_ping ─────────── TLS ─────► API
//!      Started ◄─────── stdout ───    serves until QEMU ends
//!  QemuDriver::{stop,observe,…} ──► supervisor.sock
//!  docker ───── docker.sock ──────► relays ────────────── TLS ─────► API
//! ```
//! **Invariants:** a start that fails, or whose command ends, leaves nothing that runs. QEMU
//! outlives a supervisor that dies, and whoever finds it then judges by what is alive (lock, pid
//! and start time, QMP), not by what was written down.

mod acceleration;
mod adopt;
mod attempt;
mod boot_attempt;
mod client;
mod clock;
mod console;
mod docker_socket;
mod driver;
mod ending;
mod files;
mod forward;
mod host_facts;
mod journal;
mod operations;
mod owner;
mod process;
mod protocol;
mod requests;
mod resume;
mod save;
mod saved_state;
mod start;
mod state;
mod supervise;
mod timings;
mod vm;

pub use driver::QemuDriver;
pub use supervise::supervise;
