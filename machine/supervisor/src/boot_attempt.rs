//! One attempt to get a guest up with one accelerator.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boot::{BootTimings, GuestMessage};
use machine_lifecycle::driver::{DriverError, VmSpec};
use machine_qemu::arguments::arguments;
use machine_qemu::launch::{Socket, launch};
use machine_qemu::probe::Found;
use machine_qemu::qmp::{Event, Qmp, QmpError, Reboot, RunState};
use machine_qemu::spec::{self as qemu, Accelerator, MachineType};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::acceleration::{blames_accelerator, title};
use crate::files::{AGENT_SOCKET, CONSOLE_LOG, CONTROL_SOCKET, QEMU_LOG, QMP_SOCKET};
use crate::journal::note;
use crate::ping::{Identity, PingError};
use crate::process::ProcessIdentity;
use crate::protocol::system;
use crate::requests::Snapshot;
use crate::state::Happening;
use crate::timings::{Moments, timings};
use crate::vm::{Exit, Record, Sources, Streams, Vm, ended};
use crate::{console, ending, files};

/// Within this a guest has written to its console or opened a port, even on a slow disk. A
/// hypervisor that runs inside another one may never run an instruction, and not say so either.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Where everything lies: the supervisor runs in the machine's directory.
const HERE: &str = ".";

/// What all attempts of one start share.
pub(crate) struct Attempt<'a> {
    pub(crate) spec: &'a VmSpec,
    pub(crate) qemu: &'a Found,
    pub(crate) identity: &'a Identity,
    pub(crate) snapshot: &'a watch::Sender<Snapshot>,
    pub(crate) launched: &'a Launched,
    pub(crate) step: &'a (dyn Fn(&str) + Sync),
}

/// A guest whose API has answered.
pub(crate) struct Booted {
    pub(crate) vm: Arc<Vm>,
    pub(crate) sources: Sources,
    /// What the guest asked for before it was ready.
    pub(crate) early: VecDeque<GuestMessage>,
    pub(crate) timings: Vec<(String, Duration)>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Setback {
    /// The accelerator cannot run a guest; another one may.
    Accelerator(String),
    Final(DriverError),
}

impl From<DriverError> for Setback {
    fn from(error: DriverError) -> Self {
        Self::Final(error)
    }
}

/// The QEMU of a start that has not succeeded yet. It is known outside of the attempt, so that it
/// can be ended however the attempt ends.
#[derive(Debug, Default)]
pub(crate) struct Launched(Mutex<Option<ProcessIdentity>>);

impl Launched {
    fn set(&self, process: ProcessIdentity) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    /// Ends it and removes what it had.
    pub(crate) async fn end(&self) {
        let process = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(process) = process
            && let Err(error) = ending::kill(&process).await
        {
            note(error);
        }
        files::sweep(Path::new(HERE));
    }

    /// From now on it is a machine.
    pub(crate) fn keep(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Attempt<'_> {
    pub(crate) async fn boot(&self, accelerator: Accelerator) -> Result<Booted, Setback> {
        (self.step)("starting QEMU");
        let began = Instant::now();
        let (vm, mut sources) = self.launch(accelerator).await?;
        self.snapshot.send_modify(|snapshot| snapshot.vm = Some(vm.clone()));
        self.resize(&vm.qmp).await?;
        vm.qmp.resume().await.map_err(|error| refused(&error))?;
        let resumed = Instant::now();
        self.happens(Happening::Resumed);

        (self.step)("booting the guest");
        let mut early = VecDeque::new();
        let guest = self.wait_until_ready(&vm, &mut sources, &mut early).await?;
        let ready = Instant::now();
        self.happens(Happening::Ready);

        self.prove(&mut sources.exit).await?;
        let answered = Instant::now();
        if vm.record.machine != MachineType::Microvm {
            // A guest that panics from now on comes up again by itself. A microvm cannot power
            // off; there a restart is the end.
            vm.qmp.set_reboot(Reboot::Restarts).await.map_err(|error| refused(&error))?;
        }
        let record = Record { proved: true, ..vm.record.clone() };
        record.write(Path::new(HERE)).map_err(system("cannot write down the running machine"))?;
        self.happens(Happening::Answered);
        let moments = Moments { began, resumed, ready, answered };
        Ok(Booted { vm, sources, early, timings: timings(&moments, &guest) })
    }

    fn happens(&self, happening: Happening) {
        self.snapshot.send_modify(|snapshot| snapshot.state = snapshot.state.after(happening));
    }

    /// Starts QEMU, with the vCPUs standing still.
    async fn launch(&self, accelerator: Accelerator) -> Result<(Arc<Vm>, Sources), Setback> {
        let here = Path::new(HERE);
        console::rotate(here).map_err(system("cannot rotate the console log"))?;
        let socket = |name: &str| {
            Socket::create(Path::new(name)).map_err(system(format!("cannot listen on {name}")))
        };
        let (qmp, control, agent) =
            (socket(QMP_SOCKET)?, socket(CONTROL_SOCKET)?, socket(AGENT_SOCKET)?);
        let vm = self.qemu_spec(accelerator, [&qmp, &control, &agent]);
        let log = File::create(QEMU_LOG).map_err(system("cannot write QEMU's log"))?;
        let program = &self.qemu.program;
        let mut child = launch(program, &arguments(&vm), here, &[&qmp, &control, &agent], log)
            .map_err(system(format!("cannot run {}", program.display())))?;

        let (exited, mut exit) = watch::channel(None);
        let process = child.id().and_then(ProcessIdentity::of);
        if let Some(process) = &process {
            self.launched.set(process.clone());
        }
        tokio::spawn(async move {
            let text = match child.wait().await {
                Ok(status) => describe(status),
                Err(error) => format!("QEMU was lost: {error}"),
            };
            exited.send_replace(Some(text));
        });
        let Some(process) = process else {
            let reason = ended(&mut exit).await;
            return Err(self.setback(accelerator, &reason));
        };
        let record = Record { qemu: process, accelerator, machine: vm.machine, proved: false };
        record.write(here).map_err(system("cannot write down the running machine"))?;

        let stream = |socket: Socket| socket.into_stream().map_err(system("cannot use a socket"));
        let opened = tokio::select! {
            opened = Qmp::open(stream(qmp)?) => opened,
            reason = ended(&mut exit) => return Err(self.setback(accelerator, &reason)),
        };
        let (qmp, events) = match opened {
            Ok(opened) => opened,
            // Its end closes the socket a moment before it is reaped.
            Err(QmpError::Closed | QmpError::Io(_)) => {
                let reason = ended(&mut exit).await;
                return Err(self.setback(accelerator, &reason));
            }
            Err(error) => return Err(refused(&error).into()),
        };
        let streams = Streams { qmp, events, control: stream(control)?, agent: stream(agent)? };
        Ok(Vm::new(record, streams, exit))
    }

    fn qemu_spec(&self, accelerator: Accelerator, sockets: [&Socket; 3]) -> qemu::VmSpec {
        let spec = self.spec;
        let architecture = qemu::Architecture::HOST;
        let [qmp, control, agent] = sockets;
        let port = |id: &str, name: &str, socket: &Socket| qemu::SerialPort {
            id: id.to_owned(),
            name: name.to_owned(),
            descriptor: socket.descriptor(),
        };
        qemu::VmSpec {
            name: spec.machine.name.clone(),
            architecture,
            machine: qemu::machine_type_from_environment(accelerator, architecture),
            accelerator,
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
            disk: spec.disk.clone(),
            kernel: spec.kernel.clone(),
            initramfs: spec.initramfs.clone(),
            boot_contract: spec.boot_contract.clone(),
            boot_contract_name: boot::FW_CFG_NAME.to_owned(),
            console_log: CONSOLE_LOG.into(),
            forwards: vec![
                qemu::PortForward { host: spec.api_port, guest: boot::API_PORT },
                qemu::PortForward { host: spec.ssh_port, guest: boot::SSH_PORT },
            ],
            ports: vec![
                port("control", boot::CONTROL_PORT, control),
                port("agent", boot::AGENT_PORT, agent),
            ],
            qmp_descriptor: qmp.descriptor(),
            features: self.qemu.features,
        }
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
        let accelerator = vm.record.accelerator;
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
            Ok(RunState::internal_error) if vm.record.accelerator != Accelerator::Tcg => {
                let name = title(vm.record.accelerator);
                Err(Setback::Accelerator(format!("{name} internal error")))
            }
            Ok(RunState::io_error) => {
                Err(self.died("its disk cannot be written, the host's may be full".into()).into())
            }
            Ok(RunState::shutdown) | Err(_) => Ok(()), // Its end is about to be heard of.
            Ok(status) => Err(self.died(format!("it stands still ({status:?})")).into()),
        }
    }

    /// One `GET /_ping`; asked again only if the connection itself fails, because a guest that
    /// has just said that it listens may still be setting up its link.
    async fn prove(&self, exit: &mut Exit) -> Result<(), DriverError> {
        (self.step)("waiting for the API");
        let mut pauses = [50, 200, 500, 1000].into_iter();
        loop {
            let answered = tokio::select! {
                answered = self.identity.ping(self.spec.api_port) => answered,
                reason = ended(exit) => return Err(self.died(complete(&reason))),
            };
            match (answered, pauses.next()) {
                (Ok(()), _) => return Ok(()),
                // Whom TLS does not trust now it does not trust later.
                (Err(PingError::Connection(error)), Some(pause))
                    if error.kind() != io::ErrorKind::InvalidData =>
                {
                    note(format_args!("the API is not reached yet: {error}"));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                (Err(error), _) => return Err(DriverError::Failed(error.to_string())),
            }
        }
    }

    fn died(&self, reason: String) -> DriverError {
        let phase = self.snapshot.borrow().state.phase().to_owned();
        DriverError::Died { phase, reason, console: console::last_lines(Path::new(HERE)) }
    }

    /// QEMU ended before its guest did anything.
    fn setback(&self, accelerator: Accelerator, exit: &str) -> Setback {
        let here = Path::new(HERE);
        if accelerator != Accelerator::Tcg && blames_accelerator(exit, &console::complaints(here)) {
            let reason = console::complaint(here).unwrap_or_else(|| exit.to_owned());
            return Setback::Accelerator(reason);
        }
        Setback::Final(self.died(complete(exit)))
    }
}

fn refused(error: &QmpError) -> DriverError {
    DriverError::Failed(format!("QEMU refused: {error}"))
}

/// An exit with what QEMU said about it.
fn complete(exit: &str) -> String {
    match console::complaint(Path::new(HERE)) {
        Some(complaint) => format!("{exit}: {complaint}"),
        None => exit.to_owned(),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "QEMU ended".to_owned(),
        (Some(code), _) => format!("QEMU ended with status {code}"),
        (None, Some(signal)) => format!("QEMU was killed by signal {signal}"),
        (None, None) => "QEMU ended".to_owned(),
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
