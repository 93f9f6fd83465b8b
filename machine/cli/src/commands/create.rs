//! `machine create`: a new machine that runs, or nothing.

use std::time::Duration;

use machine_lifecycle::driver::{Acceleration, Progress as _};
use machine_lifecycle::{MachineName, MachineSpec};
use tokio::signal::unix::{SignalKind, signal};

use super::{DONE, Outcome, start};
use crate::Context;
use crate::error::{CommandError, Exit};

const USUAL_CPUS: u32 = 2;

/// Create a machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: String,

    /// What runs the machine; there is only qemu
    #[arg(short, long, default_value = "qemu")]
    driver: String,

    /// Number of CPUs; -1 for as many as this host has [default: 2, or 1 on a host with one]
    #[arg(long, alias = "qemu-cpu-count", value_name = "N", allow_negative_numbers = true)]
    cpu_count: Option<i64>,

    /// Memory in MB
    #[arg(long, alias = "qemu-memory", value_name = "MB", default_value_t = 1024)]
    memory: u64,

    /// Most that the disk may grow to, in MB
    #[arg(long, alias = "qemu-disk-size", value_name = "MB", default_value_t = 20_000)]
    disk_size: u64,

    /// Who executes the guest: auto, kvm, hvf or tcg
    #[arg(long, value_name = "KIND", default_value_t = Acceleration::Auto)]
    accel: Acceleration,

    /// Another name or address for the server's certificate; repeatable
    #[arg(long, value_name = "NAME")]
    tls_san: Vec<String>,

    /// A label KEY=VALUE of the engine; repeatable
    #[arg(long, value_name = "LABEL")]
    engine_label: Vec<String>,

    #[command(flatten)]
    boot: start::Boot,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    if args.driver != "qemu" {
        return Err(CommandError::usage(format!("Driver \"{}\" not found", args.driver))
            .hint("leave --driver away; qemu is the only one"));
    }
    let name: MachineName = args.name.parse()?;
    let spec = MachineSpec {
        cpus: cpus(args.cpu_count, context.capacity.cpus),
        memory_mib: args.memory,
        disk_size_mib: args.disk_size,
        acceleration: args.accel,
        tls_names: args.tls_san.clone(),
        engine_labels: args.engine_label.clone(),
    };
    let progress = context.ui.progress(name.as_str());
    let interrupted = interruption()?;
    let created = tokio::select! {
        created = context.machines.create(&name, &spec, args.boot.timeout(), &progress) => Some(created),
        () = interrupted => None,
    };
    let Some(created) = created else {
        progress.step("Interrupted, removing what was made...");
        context.machines.abandon(&name).await?;
        return Err(CommandError::new(Exit::Interrupted, "interrupted; nothing was left behind"));
    };
    let created = created.map_err(CommandError::of_create)?;
    progress.step("Docker is up and running!");
    drop(progress);
    if args.boot.timings {
        context.ui.result(&start::timings(&created.started));
    } else {
        context.ui.result(&format!(
            "To see how to connect your Docker Client to the Docker Engine running on this \
             virtual machine, run: {} env {name}",
            context.program()
        ));
    }
    DONE
}

fn cpus(wanted: Option<i64>, host: u32) -> u32 {
    match wanted {
        None => USUAL_CPUS.min(host),
        Some(-1) => host,
        // What is no sensible number is refused with the other absurd wishes.
        Some(count) => u32::try_from(count).unwrap_or(if count < 0 { 0 } else { u32::MAX }),
    }
}

/// Ends when the user or the system wants the command to end.
fn interruption() -> Result<impl Future<Output = ()>, CommandError> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| CommandError::failed("signals cannot be received").because(&error))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

impl start::Boot {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::cpus;

    #[test]
    fn two_cpus_are_usual_and_minus_one_means_all() {
        assert_eq!(cpus(None, 8), 2);
        assert_eq!(cpus(None, 1), 1);
        assert_eq!(cpus(Some(-1), 8), 8);
        assert_eq!(cpus(Some(4), 8), 4);
        assert_eq!(cpus(Some(-7), 8), 0);
    }
}
