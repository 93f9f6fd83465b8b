//! Ends a VM: gently first, then not.

use std::sync::Arc;
use std::time::Duration;

use machine_lifecycle::driver::{DriverError, Stop};
use machine_qemu::agent::Shutdown;
use machine_qemu::qmp::{Reboot, RunState};
use machine_qemu::spec::MachineType;

use crate::journal::note;
use crate::process::ProcessIdentity;
use crate::vm::Vm;

/// How long the guest's agent may take to say that it has heard.
const AGENT_BOUND: Duration = Duration::from_secs(3);
/// How long QEMU may take to write what it has cached and end.
const QUIT_BOUND: Duration = Duration::from_secs(3);
/// How long the kernel may take to end a killed QEMU.
const KILL_BOUND: Duration = Duration::from_secs(10);

/// Ends the VM and returns when it is gone.
pub(crate) async fn end(vm: Arc<Vm>, how: Stop) -> Result<(), DriverError> {
    let process = &vm.record.qemu;
    if let Stop::Gracefully(grace) = how {
        let asked = async {
            if let Err(error) = ask(&vm).await {
                note(format_args!("the guest was not asked to stop: {error}"));
                return;
            }
            process.gone_within(grace).await;
        };
        if tokio::time::timeout(grace, asked).await.is_err() {
            note("the guest did not stop in time");
        }
        if !process.is_alive() {
            return Ok(());
        }
    }
    let quit = async {
        if vm.qmp.quit().await.is_ok() {
            process.gone_within(QUIT_BOUND).await;
        }
    };
    tokio::time::timeout(QUIT_BOUND, quit).await.ok();
    kill(process).await
}

/// Ends a QEMU that does not answer.
pub(crate) async fn kill(process: &ProcessIdentity) -> Result<(), DriverError> {
    process.kill();
    if process.gone_within(KILL_BOUND).await {
        Ok(())
    } else {
        Err(DriverError::Failed("QEMU does not end, not even when killed".to_owned()))
    }
}

/// Asks the guest to shut down: its agent, or, if that is not there, by the power button.
async fn ask(vm: &Vm) -> Result<(), machine_qemu::qmp::QmpError> {
    if matches!(
        vm.qmp.status().await?,
        RunState::paused | RunState::io_error | RunState::postmigrate
    ) {
        // Who stands still cannot shut down.
        vm.qmp.resume().await?;
    }
    vm.qmp.set_reboot(Reboot::Ends).await?;
    let how = match vm.record.hardware.machine {
        MachineType::Q35 | MachineType::Virt => Shutdown::PowerDown,
        MachineType::Microvm => Shutdown::Restart,
    };
    match vm.agent.lock().await.shut_down(how, AGENT_BOUND).await {
        Ok(()) => Ok(()),
        Err(error) => {
            note(format_args!("the guest agent was not reached: {error}"));
            vm.qmp.power_down().await
        }
    }
}
