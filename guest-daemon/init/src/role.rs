//! What PID 1 does: the steps of a boot in their order, then supervision for ever.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::console::event;
use crate::handover::{Handover, monotonic_micros};
use crate::service::{Ending, Service};
use crate::supervise::Supervisor;
use crate::{disk, environment, handover, links, mounts, protocol, settings, shutdown};

/// A step that failed and without which there is no use in going on.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
struct BootError {
    step: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

/// Boots the guest and supervises it. Must run as PID 1, from an initramfs.
///
/// Never returns and never panics: the kernel panics when PID 1 ends.
pub fn run() -> ! {
    std::panic::set_hook(Box::new(|panic| {
        event!(Error, "init met a bug and goes on", at = panic);
    }));
    let init_start = monotonic_micros();
    let booted = catch_unwind(|| boot(init_start));
    let mut supervisor = match booted {
        Ok(Ok(supervisor)) => supervisor,
        Ok(Err(error)) => {
            event!(Error, "this guest cannot start", because = chain(&error));
            shutdown::end(Ending::PowerOff);
        }
        Err(_) => shutdown::end(Ending::PowerOff),
    };
    loop {
        // A bug met in one turn must not take every container with it.
        let _logged_by_the_hook = catch_unwind(AssertUnwindSafe(|| supervisor.run()));
    }
}

fn boot(init_start: u64) -> Result<Supervisor, BootError> {
    step("leave the initial root filesystem", mounts::leave_initial_root())?;
    step("mount the system's filesystems", mounts::mount_all())?;
    step("make the links in /dev", mounts::link_devices())?;
    let contract = handover::read_contract(Path::new(boot::FW_CFG_PATH));
    let contract = step("read the boot contract", contract)?;
    event!(
        Info,
        "booting",
        machine = contract.machine,
        version = env!("CARGO_PKG_VERSION"),
        kernel_micros = init_start,
    );
    step("write the files of /etc", settings::write_files(&contract.machine))?;
    step("protect the root filesystem", mounts::protect_root())?;
    if let Err(error) = mounts::delegate_controllers() {
        event!(Error, "no cgroup controllers", because = error);
    }
    settings::raise_limits();
    settings::apply_sysctls();
    if let Err(error) = links::bring_up() {
        event!(Error, "no network", because = error);
    }
    step("mount the data disk", disk::mount_data())?;
    step("share the mounts", mounts::share())?;
    let handover = Handover { contract, init_start, disk_mounted: monotonic_micros() };
    step("hand over to the daemon", handover::write(&handover))?;
    let service = mounts::create_directory("/run/init", 0o700)
        .and_then(|()| Service::listen(Path::new(protocol::SOCKET_PATH)));
    let (variables, refused) = environment::variables(&handover.contract.engine.env);
    for reason in refused {
        event!(Warn, "not in the daemon's environment", because = reason);
    }
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let variables = variables.into_iter().map(own).collect();
    let supervisor = service.and_then(|service| Supervisor::new(service, variables));
    step("listen for the daemon", supervisor)
}

fn step<T, E: Into<Box<dyn Error + Send + Sync>>>(
    step: &'static str,
    result: Result<T, E>,
) -> Result<T, BootError> {
    result.map_err(|error| BootError { step, source: error.into() })
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
