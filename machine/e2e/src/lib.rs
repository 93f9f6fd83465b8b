//! A harness that boots real machines with the built `machine` command and drives them with real
//! docker commands. One machine serves many tests, because a boot costs a second and a test none.

pub mod api;
pub mod archive;
pub mod command;
pub mod host;
pub mod hostile;
pub mod http;
pub mod kept;
pub mod leaks;
pub mod machine;
pub mod proxy;
pub mod registry;
pub mod suite;
pub mod wait;

pub use command::{Finished, Run};
pub use host::Host;
pub use machine::Machine;
pub use proxy::Proxy;
pub use registry::Registry;
pub use suite::{Check, Suite, main};
pub use wait::eventually;
