//! One attempt to get a guest up with one accelerator: what booting and going on have in common.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boot::{GuestMessage, TlsIdentity};
use machine_lifecycle::driver::{DriverError, VmSpec};
use machine_qemu::agent::Agent;
use machine_qemu::arguments::{arguments, hardware};
use machine_qemu::launch::{Socket, launch};
use machine_qemu::probe::Found;
use machine_qemu::qmp::{Qmp, QmpError};
use machine_qemu::spec::{self as qemu, Accelerator, MachineType};
use tokio::sync::watch;

use crate::acceleration::blames_accelerator;
use crate::client::{Client, PingError};
use crate::files::{AGENT_SOCKET, CONSOLE_LOG, CONTROL_SOCKET, QEMU_LOG, QMP_SOCKET};
use crate::forward::Forwards;
use crate::journal::note;
use crate::process::ProcessIdentity;
use crate::protocol::{Report, system};
use crate::requests::Snapshot;
use crate::saved_state::{self, Hardware};
use crate::start::Tell;
use crate::state::Happening;
use crate::vm::{self, Exit, Record, Sources, Streams, Vm, ended};
use crate::{console, ending};

/// Where everything lies: the supervisor runs in the machine's directory.
pub(crate) const HERE: &str = ".";

/// What all attempts of one start share.
pub(crate) struct Attempt<'a> {
    pub(crate) spec: &'a VmSpec,
    pub(crate) qemu: &'a Found,
    pub(crate) client: &'a Client,
    pub(crate) snapshot: &'a watch::Sender<Snapshot>,
    pub(crate) launched: &'a Launched,
    pub(crate) tell: Tell<'a>,
}

/// On what the guest runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    pub(crate) accelerator: Accelerator,
    pub(crate) machine: MachineType,
    /// It goes on from a saved state.
    pub(crate) incoming: bool,
}

/// A QEMU that answers, with its vCPUs standing still.
pub(crate) struct Waiting {
    pub(crate) record: Record,
    pub(crate) streams: Streams,
    pub(crate) exit: Exit,
}

/// A guest that is up.
pub(crate) struct Booted {
    pub(crate) vm: Arc<Vm>,
    pub(crate) sources: Sources,
    /// What the guest asked for before it was ready.
    pub(crate) early: VecDeque<GuestMessage>,
    pub(crate) forwards: Forwards,
    /// The API's identity, if the guest's daemon would begin with another one.
    pub(crate) identity: Option<TlsIdentity>,
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
pub(crate) struct Launched {
    process: Mutex<Option<ProcessIdentity>>,
    committed: AtomicBool,
}

impl Launched {
    fn process(&self) -> std::sync::MutexGuard<'_, Option<ProcessIdentity>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it and removes what it had.
    pub(crate) async fn end(&self) {
        let process = self.process().take();
        if let Some(process) = process
            && let Err(error) = ending::kill(&process).await
        {
            note(error);
        }
        vm::sweep(Path::new(HERE));
    }

    /// From now on it is a machine.
    pub(crate) fn keep(&self) {
        self.process().take();
    }

    /// From now on it is a machine, and the start cannot be given up any more.
    pub(crate) fn commit(&self) {
        self.keep();
        self.committed.store(true, Ordering::Relaxed);
    }

    /// It is not one after all.
    pub(crate) fn revoke(&self, process: ProcessIdentity) {
        self.committed.store(false, Ordering::Relaxed);
        *self.process() = Some(process);
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.committed.load(Ordering::Relaxed)
    }
}

impl Attempt<'_> {
    pub(crate) fn step(&self, text: &str) {
        (self.tell)(&Report::Step { text: text.to_owned() });
    }

    pub(crate) fn warn(&self, text: String) {
        note(&text);
        (self.tell)(&Report::Warning { text });
    }

    pub(crate) fn happens(&self, happening: Happening) {
        self.snapshot.send_modify(|snapshot| snapshot.state = snapshot.state.after(happening));
    }

    /// What a QEMU on this board would be made of.
    pub(crate) fn hardware(&self, board: Board) -> Result<Hardware, DriverError> {
        let spec = self.spec;
        let image = saved_state::image(&spec.kernel, &spec.initramfs);
        Ok(Hardware {
            qemu: self.qemu.version,
            accelerator: board.accelerator,
            machine: board.machine,
            cpus: spec.cpus,
            memory_mib: spec.memory_mib,
            arguments: hardware(&self.qemu_spec(board, [0; 3])),
            image: image.map_err(system("cannot look at the guest image"))?,
        })
    }

    /// Starts QEMU, with the vCPUs standing still.
    pub(crate) async fn launch(&self, board: Board) -> Result<Waiting, Setback> {
        let here = Path::new(HERE);
        let accelerator = board.accelerator;
        let hardware = self.hardware(board)?;
        console::rotate(here).map_err(system("cannot rotate the console log"))?;
        let socket = |name: &str| {
            Socket::create(Path::new(name)).map_err(system(format!("cannot listen on {name}")))
        };
        let (qmp, control, agent) =
            (socket(QMP_SOCKET)?, socket(CONTROL_SOCKET)?, socket(AGENT_SOCKET)?);
        let descriptors = [&qmp, &control, &agent].map(Socket::descriptor);
        let vm = self.qemu_spec(board, descriptors);
        let log = File::create(QEMU_LOG).map_err(system("cannot write QEMU's log"))?;
        let program = &self.qemu.program;
        let mut child = launch(program, &arguments(&vm), here, &[&qmp, &control, &agent], log)
            .map_err(system(format!("cannot run {}", program.display())))?;

        let (exited, mut exit) = watch::channel(None);
        let process = child.id().and_then(ProcessIdentity::of);
        *self.launched.process() = process.clone();
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
        let record = Record { qemu: process, hardware, proved: false, saved_to: None };
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
        let (control, agent) = (stream(control)?, Agent::new(stream(agent)?));
        let streams = Streams { qmp, events, control, agent };
        Ok(Waiting { record, streams, exit })
    }

    fn qemu_spec(&self, board: Board, [qmp, control, agent]: [i32; 3]) -> qemu::VmSpec {
        let spec = self.spec;
        let port = |id: &str, name: &str, descriptor| qemu::SerialPort {
            id: id.to_owned(),
            name: name.to_owned(),
            descriptor,
        };
        qemu::VmSpec {
            name: spec.machine.name.clone(),
            architecture: qemu::Architecture::HOST,
            machine: board.machine,
            accelerator: board.accelerator,
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
            qmp_descriptor: qmp,
            features: self.qemu.features,
            incoming: board.incoming,
        }
    }

    /// One `GET /_ping`; asked again only if the connection itself fails, because a guest that
    /// has just said that it listens may still be setting up its link.
    pub(crate) async fn prove(&self, exit: &mut Exit) -> Result<(), DriverError> {
        self.step("waiting for the API");
        let mut pauses = [50, 200, 500, 1000].into_iter();
        loop {
            let answered = tokio::select! {
                answered = self.client.ping() => answered,
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

    pub(crate) fn died(&self, reason: String) -> DriverError {
        let phase = self.snapshot.borrow().state.phase().to_owned();
        DriverError::Died { phase, reason, console: console::last_lines(Path::new(HERE)) }
    }

    /// QEMU ended before its guest did anything.
    pub(crate) fn setback(&self, accelerator: Accelerator, exit: &str) -> Setback {
        let here = Path::new(HERE);
        if accelerator != Accelerator::Tcg && blames_accelerator(exit, &console::complaints(here)) {
            let reason = console::complaint(here).unwrap_or_else(|| exit.to_owned());
            return Setback::Accelerator(reason);
        }
        Setback::Final(self.died(complete(exit)))
    }
}

pub(crate) fn refused(error: &QmpError) -> DriverError {
    DriverError::Failed(format!("QEMU refused: {error}"))
}

/// An exit with what QEMU said about it.
pub(crate) fn complete(exit: &str) -> String {
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
