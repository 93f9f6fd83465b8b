//! The [`Driver`] port, as commands use it: starts supervisors, and asks them or, when there is
//! none, looks for itself.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use machine_lifecycle::driver::{
    Driver, DriverError, MachineFiles, Observed, Progress, Started, Stop, VmSpec,
};
use machine_qemu::probe;
use machine_qemu::qmp::Qmp;
use machine_qemu::spec::Architecture;
use machine_store::Lock;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::ending;
use crate::files::{LAST_BREATH, LOCK, QMP_SOCKET, SUPERVISOR_LOG, SUPERVISOR_SOCKET};
use crate::protocol::{self, Order, Reply, Report, Request, system};
use crate::requests::observed;
use crate::start::missing;
use crate::vm::{self, Record, Vm};

/// How long a supervisor may take to answer someone who relies on it.
const ANSWER_BOUND: Duration = Duration::from_millis(1000);
/// A supervisor that works says so every second.
const PULSE_BOUND: Duration = Duration::from_secs(15);
/// How much longer than it may take a start is waited for.
const MARGIN: Duration = Duration::from_secs(20);
/// What ending a VM takes at most after the guest's own time is over.
const END_BOUND: Duration = Duration::from_secs(20);
/// From here on a supervisor's log begins anew.
const LONGEST_LOG: u64 = 1 << 20;

/// Runs machines with QEMU, each under a supervisor process of its own.
#[derive(Clone, Debug)]
pub struct QemuDriver {
    program: PathBuf,
}

impl QemuDriver {
    /// `program` is run as `program supervise` and calls [`crate::supervise`] then.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    fn spawn(&self, directory: &Path) -> io::Result<Child> {
        Command::new(&self.program)
            .arg("supervise")
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log(directory)?)
            .spawn()
    }
}

#[async_trait]
impl Driver for QemuDriver {
    async fn check(&self) -> Result<(), DriverError> {
        probe::locate(Architecture::HOST).map(drop).map_err(missing)
    }

    async fn start(&self, vm: &VmSpec, progress: &dyn Progress) -> Result<Started, DriverError> {
        let directory = &vm.machine.directory;
        let absolute = VmSpec { machine: vm.machine.clone(), ..absolute(vm)? };
        let spec = protocol::line(&absolute).map_err(system("cannot describe the machine"))?;
        let mut child = self.spawn(directory).map_err(system(format!(
            "cannot run {} in {}",
            self.program.display(),
            directory.display()
        )))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(DriverError::Failed("the supervisor has no pipes".to_owned()));
        };
        // A supervisor that does not read has ended, and its end is looked at below.
        input.write_all(&spec).await.ok();
        let outcome = follow(output, vm, progress).await;
        // Closed only now: its end before the result tells the supervisor to give up.
        drop(input);
        match outcome {
            Ok(started) => Ok(started),
            Err(error) => {
                // Once it has ended, nothing runs any more and the machine can be started again.
                let status = tokio::time::timeout(MARGIN, child.wait()).await;
                Err(error.unwrap_or_else(|| {
                    let status = match status {
                        Ok(Ok(status)) => status.to_string(),
                        Ok(Err(_)) | Err(_) => "unknown".to_owned(),
                    };
                    let log = directory.join("supervisor.log");
                    let log = log.display();
                    DriverError::Failed(format!("the supervisor ended ({status}), see {log}"))
                }))
            }
        }
    }

    async fn stop(&self, machine: &MachineFiles, how: Stop) -> Result<bool, DriverError> {
        let directory = &machine.directory;
        // A supervisor that hangs must not cost the time a guest may take.
        let observe = Request::observe_within(ANSWER_BOUND);
        let answers = tokio::time::timeout(ANSWER_BOUND, ask(directory, &observe)).await;
        if !matches!(answers, Ok(Ok(_))) {
            return stop_directly(machine, how).await;
        }
        let grace = match how {
            Stop::Gracefully(grace) => grace,
            Stop::Kill => Duration::ZERO,
        };
        let request = Request::Stop { how };
        let asked = tokio::time::timeout(grace + END_BOUND, ask(directory, &request)).await;
        match asked {
            Ok(Ok(Reply::Done)) => Ok(true),
            Ok(Ok(Reply::Failed { error })) => Err(error.into()),
            // It died, or began to hang: then it is done without it.
            Ok(Ok(_) | Err(_)) | Err(_) => stop_directly(machine, how).await,
        }
    }

    async fn observe(
        &self,
        machine: &MachineFiles,
        patience: Duration,
    ) -> Result<Observed, DriverError> {
        let directory = &machine.directory;
        let observe = Request::observe_within(patience);
        let answer = tokio::time::timeout(patience, ask(directory, &observe)).await;
        Ok(match answer {
            Ok(Ok(Reply::Observed { observed })) => observed,
            Ok(Ok(_)) | Err(_) => Observed::Unresponsive,
            Ok(Err(_)) => {
                let looked = tokio::time::timeout(patience, look(directory));
                looked.await.unwrap_or(Observed::Unresponsive)
            }
        })
    }

    async fn is_supervised(&self, machine: &MachineFiles) -> Result<bool, DriverError> {
        let observe = Request::observe_within(ANSWER_BOUND);
        let asked = ask(&machine.directory, &observe);
        Ok(matches!(tokio::time::timeout(ANSWER_BOUND, asked).await, Ok(Ok(_))))
    }

    async fn pause(&self, machine: &MachineFiles) -> Result<(), DriverError> {
        order(machine, Order::Pause).await
    }

    async fn unpause(&self, machine: &MachineFiles) -> Result<(), DriverError> {
        order(machine, Order::Unpause).await
    }

    async fn suspend(&self, machine: &MachineFiles, state: &Path) -> Result<(), DriverError> {
        order(machine, Order::Suspend { state: absolute_path(state)? }).await
    }

    async fn snapshot(
        &self,
        machine: &MachineFiles,
        state: Option<&Path>,
        disk: &Path,
    ) -> Result<(), DriverError> {
        let state = state.map(absolute_path).transpose()?;
        order(machine, Order::Snapshot { state, disk: absolute_path(disk)? }).await
    }

    async fn grow_disk(&self, machine: &MachineFiles, size_mib: u64) -> Result<(), DriverError> {
        order(machine, Order::GrowDisk { size_mib }).await
    }

    async fn load_identity(
        &self,
        machine: &MachineFiles,
        identity: &boot::TlsIdentity,
    ) -> Result<(), DriverError> {
        order(machine, Order::LoadIdentity { tls: identity.clone() }).await
    }
}

/// Lets the supervisor do something.
async fn order(machine: &MachineFiles, order: Order) -> Result<(), DriverError> {
    let unsupervised = |_| DriverError::Unsupervised { name: machine.name.clone() };
    let mut stream = vm::connect(&machine.directory, SUPERVISOR_SOCKET).map_err(unsupervised)?;
    let request = protocol::line(&Request::Order { order });
    let request = request.map_err(system("cannot say what to do"))?;
    stream.write_all(&request).await.map_err(unsupervised)?;
    let mut stream = BufReader::new(stream);
    loop {
        let said = tokio::time::timeout(PULSE_BOUND, protocol::receive(&mut stream)).await;
        let failed = |text: &str| Err(DriverError::Failed(text.to_owned()));
        match said {
            Ok(Ok(Some(Reply::Working))) => {}
            Ok(Ok(Some(Reply::Done))) => return Ok(()),
            Ok(Ok(Some(Reply::Failed { error }))) => return Err(error.into()),
            Ok(Ok(Some(Reply::Observed { .. }))) => {
                return failed("the supervisor was not understood");
            }
            Ok(Ok(None) | Err(_)) => return failed("the supervisor ended before it was done"),
            Err(_) => return failed("the supervisor does not answer"),
        }
    }
}

fn absolute_path(path: &Path) -> Result<PathBuf, DriverError> {
    std::path::absolute(path).map_err(system(format!("cannot find {}", path.display())))
}

/// The supervisor works in another directory than its command.
fn absolute(vm: &VmSpec) -> Result<VmSpec, DriverError> {
    let path = |path: &PathBuf| absolute_path(path);
    Ok(VmSpec {
        resume_from: vm.resume_from.as_ref().map(path).transpose()?,
        disk: path(&vm.disk)?,
        kernel: path(&vm.kernel)?,
        initramfs: path(&vm.initramfs)?,
        boot_contract: path(&vm.boot_contract)?,
        ca_certificate: path(&vm.ca_certificate)?,
        client_certificate: path(&vm.client_certificate)?,
        client_key: path(&vm.client_key)?,
        host_facts: path(&vm.host_facts)?,
        ..vm.clone()
    })
}

fn log(directory: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let path = directory.join(SUPERVISOR_LOG);
    let too_long = path.metadata().is_ok_and(|file| file.len() > LONGEST_LOG);
    let mut options = File::options();
    options.create(true).append(true).mode(0o600);
    let log = options.open(&path)?;
    if too_long {
        log.set_len(0)?;
    }
    Ok(log)
}

/// Passes on what the supervisor reports. `Err(None)` means that it said no last word.
async fn follow(
    output: ChildStdout,
    vm: &VmSpec,
    progress: &dyn Progress,
) -> Result<Started, Option<DriverError>> {
    let mut output = BufReader::new(output);
    loop {
        // Each phase begins with a step.
        let said = tokio::time::timeout(vm.timeout + MARGIN, protocol::receive(&mut output));
        let Ok(said) = said.await else {
            return Err(Some(DriverError::Timeout {
                phase: "starting the machine".to_owned(),
                seconds: vm.timeout.as_secs(),
                console: crate::console::last_lines(&vm.machine.directory),
            }));
        };
        match said {
            Ok(Some(Report::Step { text })) => progress.step(&text),
            Ok(Some(Report::Warning { text })) => progress.warning(&text),
            Ok(Some(Report::Started { started })) => return Ok(started),
            Ok(Some(Report::Failed { error })) => return Err(Some(error.into())),
            Ok(None) => return Err(None),
            Err(error) => {
                return Err(Some(system("the supervisor was not understood")(error)));
            }
        }
    }
}

/// Asks the supervisor. An error means that there is none, or not any more.
async fn ask(directory: &Path, request: &Request) -> io::Result<Reply> {
    let mut stream = vm::connect(directory, SUPERVISOR_SOCKET)?;
    stream.write_all(&protocol::line(request)?).await?;
    let reply = protocol::receive(&mut BufReader::new(stream)).await?;
    reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// What a machine without a supervisor does.
async fn look(directory: &Path) -> Observed {
    let Some(record) = Record::of_a_living_vm(directory) else {
        // A QEMU that was not written down cannot be used, only ended.
        return match vm::stray(directory) {
            Some(_) => Observed::Unresponsive,
            None => Observed::Stopped,
        };
    };
    if record.is_saved() {
        // What is left of it would only be ended.
        return Observed::Stopped;
    }
    if !record.proved {
        return Observed::Unresponsive;
    }
    let asked = async {
        let (qmp, _events) = Qmp::open(vm::connect(directory, QMP_SOCKET).ok()?).await.ok()?;
        qmp.status().await.ok()
    };
    asked.await.map_or(Observed::Unresponsive, |status| observed(status, Observed::Unresponsive))
}

/// Ends a machine whose supervisor is gone or does not answer.
async fn stop_directly(machine: &MachineFiles, how: Stop) -> Result<bool, DriverError> {
    let directory = &machine.directory;
    let Some(record) = Record::of_a_living_vm(directory) else {
        return match Lock::exclusive(&directory.join(LOCK), LAST_BREATH) {
            Ok(_lock) => {
                let stray = vm::stray(directory);
                let ran = stray.is_some();
                if let Some(stream) = stray {
                    vm::end_stray(stream).await?;
                }
                remove_traces(directory);
                Ok(ran)
            }
            // A supervisor is about to start the machine.
            Err(machine_store::Error::Locked { .. }) => {
                Err(DriverError::Busy { name: machine.name.clone() })
            }
            // The whole directory may be gone.
            Err(_) => Ok(false),
        };
    };
    let process = record.qemu.clone();
    // A machine that is saved would go on, and change its disk, if it were asked to shut down.
    let how = if record.is_saved() { Stop::Kill } else { how };
    match adopted(directory, record).await {
        Some(vm) => ending::end(vm, how).await?,
        None => ending::kill(&process).await?,
    }
    // A supervisor that hangs keeps its lock and removes this itself, should it come back.
    if let Ok(_lock) = Lock::try_exclusive(&directory.join(LOCK)) {
        remove_traces(directory);
    }
    Ok(true)
}

fn remove_traces(directory: &Path) {
    vm::sweep(directory);
    std::fs::remove_file(directory.join(SUPERVISOR_SOCKET)).ok();
}

async fn adopted(directory: &Path, record: Record) -> Option<Arc<Vm>> {
    let reached = tokio::time::timeout(Duration::from_secs(2), vm::reach(directory)).await;
    let (vm, _sources) = vm::adopt(directory, record, reached.ok()?.ok()?).ok()?;
    Some(vm)
}
