//! Gets a guest up from its first instruction.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use boot::{BootTimings, GuestMessage};
use machine_lifecycle::driver::DriverError;
use machine_qemu::qmp::{Event, Qmp, Reboot, RunState};
use machine_qemu::spec::{Accelerator, Architecture, MachineType, machine_type_from_environment};
use tokio::time::Instant;

use crate::acceleration::title;
use crate::attempt::{Attempt, Board, Booted, HERE, Setback, Waiting, complete, refused};
use crate::console;
use crate::forward::Forwards;
use crate::protocol::system;
use crate::state::Happening;
use crate::timings::{Moments, timings};
use crate::vm::{Record, Sources, Vm, ended};

/// Within this a guest has written to its console or opened a port, even on a slow disk. A
/// hypervisor that runs inside another one may never run an instruction, and not say so either.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

impl Attempt<'_> {
    pub(crate) async fn boot(&self, accelerator: Accelerator) -> Result<Booted, Setback> {
        self.step("starting QEMU");
        let began = Instant::now();
        let machine = machine_type_from_environment(accelerator, Architecture::HOST);
        let board = Board { accelerator, machine, incoming: false };
        let Waiting { record, streams, exit } = self.launch(board).await?;
        let (vm, mut sources) = Vm::new(record, streams, exit);
        self.snapshot.send_modify(|snapshot| snapshot.vm = Some(vm.clone()));
        self.resize(&vm.qmp).await?;
        vm.qmp.resume().await.map_err(|error| refused(&error))?;
        let resumed = Instant::now();
        self.happens(Happening::Resumed);

        self.step("booting the guest");
        let mut early = VecDeque::new();
        let guest = self.wait_until_ready(&vm, &mut sources, &mut early).await?;
        let ready = Instant::now();
        self.happens(Happening::Ready);

        self.prove(&mut sources.exit).await?;
        let answered = Instant::now();
        if machine != MachineType::Microvm {
            // A guest that panics from now on comes up again by itself. A microvm cannot power
            // off; there a restart is the end.
            vm.qmp.set_reboot(Reboot::Restarts).await.map_err(|error| refused(&error))?;
        }
        let record = Record { proved: true, ..vm.record.clone() };
        record.write(Path::new(HERE)).map_err(system("cannot write down the running machine"))?;
        self.happens(Happening::Answered);
        let moments = Moments { began, resumed, ready, answered };
        let timings = timings(&moments, &guest);
        let forwards = Forwards::default();
        Ok(Booted { vm, sources, early, forwards, identity: None, timings })
    }

    /// Grows the disk to what the user asked for.
    async fn resize(&self, qmp: &Qmp) -> Result<(), DriverError> {
        let now = machine_qemu::disk::virtual_size(&self.spec.disk)
            .map_err(|error| DriverError::Failed(error.to_string()))?;
        let wanted = self.spec.disk_size_mib * 1024 * 1024;
        if wanted > now {
            qmp.resize_disk(wanted).await.map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    async fn wait_until_ready(
        &self,
        vm: &Vm,
        sources: &mut Sources,
        early: &mut VecDeque<GuestMessage>,
    ) -> Result<BootTimings, Setback> {
        let accelerator = vm.record.hardware.accelerator;
        let mut lives = accelerator == Accelerator::Tcg;
        let mut last_words = None;
        let silence = tokio::time::sleep(SIGN_OF_LIFE);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                Some(message) = sources.guest.recv() => match message {
                    GuestMessage::Ready { timings, .. } => return Ok(timings),
                    other => early.push_back(other),
                },
                Some(event) = sources.events.recv() => match event {
                    Event::PortOpened { open: true, .. } => lives = true,
                    Event::Shutdown { reason } => last_words = Some(reason),
                    Event::Panicked => last_words = Some("guest-panic".to_owned()),
                    Event::Stopped => self.judge_stop(vm).await?,
                    Event::PortOpened { .. } | Event::Resumed | Event::Reset | Event::Other(_) => {}
                },
                reason = ended(&mut sources.exit) => {
                    while let Ok(event) = sources.events.try_recv() {
                        if let Event::Shutdown { reason } = event {
                            last_words = Some(reason);
                        }
                    }
                    return Err(match last_words {
                        Some(words) => self.died(guests_end(&words)).into(),
                        None if lives || console::has_output(Path::new(HERE)) => {
                            self.died(complete(&reason)).into()
                        }
                        None => self.setback(accelerator, &reason),
                    });
                }
                () = &mut silence, if !lives => {
                    lives = console::has_output(Path::new(HERE));
                    if !lives {
                        let reason = format!(
                            "the guest shows no sign of life within {} s",
                            SIGN_OF_LIFE.as_secs()
                        );
                        return Err(Setback::Accelerator(reason));
                    }
                }
            }
        }
    }

    /// The vCPUs stand still before the guest was ready; never by anybody's wish.
    async fn judge_stop(&self, vm: &Vm) -> Result<(), Setback> {
        match vm.qmp.status().await {
            Ok(RunState::running) => Ok(()),
            Ok(RunState::internal_error) if vm.record.hardware.accelerator != Accelerator::Tcg => {
                let name = title(vm.record.hardware.accelerator);
                Err(Setback::Accelerator(format!("{name} internal error")))
            }
            Ok(RunState::io_error) => {
                Err(self.died("its disk cannot be written, the host's may be full".into()).into())
            }
            Ok(RunState::shutdown) | Err(_) => Ok(()), // Its end is about to be heard of.
            Ok(status) => Err(self.died(format!("it stands still ({status:?})")).into()),
        }
    }
}

/// QEMU's reason of an end, in words.
fn guests_end(reason: &str) -> String {
    match reason {
        "guest-reset" => "the guest restarted, as it does after a panic".to_owned(),
        "guest-shutdown" => "the guest powered off".to_owned(),
        "guest-panic" => "the guest panicked".to_owned(),
        "host-signal" => "QEMU was told to end".to_owned(),
        other => format!("QEMU ended ({other})"),
    }
}
