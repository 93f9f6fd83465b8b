//! A runtime in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::files::FakeFiles;
use super::pipes::{FakePipe, FakeReader};
use super::programs::{self, FakeProcess, Program};
use crate::error::{Error, Result};
use crate::ports::{
    Cgroup, ContainerFiles, ContainerSpec, CpuUsage, ExecSpec, ExitStatus, FilesSpec,
    InterfaceUsage, Listed, MemoryUsage, Process, ProcessEntry, ProcessId, ProcessIo, Recovered,
    Runtime, StdioKind, TerminalSize, Usage, VolumeMount,
};
use crate::time::{Clock, SystemClock};

/// Runs `true`, `false`, `echo`, `cat`, `sleep`, `stubborn` (ignores all but SIGKILL), `sh` and
/// `sh -c 'echo a; echo b >&2; exit 3'`; anything else is not found. Tests can also write output
/// and end processes themselves.
#[derive(Debug, Default)]
pub struct FakeRuntime {
    state: Mutex<State>,
    holds_execs: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    containers: BTreeMap<String, FakeContainer>,
    processes: BTreeMap<i32, Arc<FakeProcess>>,
    last_pid: i32,
    /// The next create fails with this.
    fail_create: Option<Error>,
    volumes: BTreeMap<PathBuf, VolumeMount>,
}

#[derive(Debug)]
struct FakeContainer {
    spec: ContainerSpec,
    program: Program,
    init: i32,
    started: bool,
    paused: bool,
    memory_kills: watch::Sender<u64>,
    execs: BTreeMap<String, i32>,
}

impl FakeRuntime {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Makes the next create fail.
    pub fn fail_next_create(&self, text: &str) {
        self.refuse_next_create(Error::internal(text.to_owned(), "a fake failure"));
    }

    /// Makes the next create fail in words of the runtime's own.
    pub fn refuse_next_create(&self, error: Error) {
        self.state().fail_create = Some(error);
    }

    /// What is mounted for volumes now.
    pub fn mounted_volumes(&self) -> Vec<VolumeMount> {
        self.state().volumes.values().cloned().collect()
    }

    /// Whether execs wait before they start.
    pub fn hold_execs(&self, hold: bool) {
        self.holds_execs.send_replace(hold);
    }

    /// What a container was created with.
    pub fn spec(&self, container: &str) -> Option<ContainerSpec> {
        self.state().containers.get(container).map(|container| container.spec.clone())
    }

    /// The containers that exist for the runtime.
    pub fn existing(&self) -> Vec<String> {
        self.state().containers.keys().cloned().collect()
    }

    /// The container's process writes to its standard output.
    pub fn print(&self, container: &str, text: &[u8]) {
        if let Some(process) = self.init_of(container) {
            process.stdout.write(text);
        }
    }

    /// The container's process ends.
    pub fn exit(&self, container: &str, code: i32) {
        if let Some(process) = self.init_of(container) {
            process.end(code, SystemClock.now());
        }
    }

    /// The kernel kills one of the container's processes for want of memory, not the first.
    pub fn run_out_of_memory(&self, container: &str) {
        if let Some(found) = self.state().containers.get(container) {
            found.memory_kills.send_modify(|kills| *kills += 1);
        }
    }

    /// Whether a container's processes stand still.
    pub fn is_paused(&self, container: &str) -> bool {
        self.state().containers.get(container).is_some_and(|found| found.paused)
    }

    /// The size of a container's terminal.
    pub fn terminal_size(&self, container: &str) -> Option<TerminalSize> {
        self.init_of(container).map(|process| process.stdin.terminal_size())
    }

    /// The machine loses power: every process is gone and nothing is remembered.
    pub fn power_off(&self) {
        let mut state = self.state();
        state.containers.clear();
        state.volumes.clear();
        for process in std::mem::take(&mut state.processes).into_values() {
            process.end(137, SystemClock.now());
        }
    }

    fn init_of(&self, container: &str) -> Option<Arc<FakeProcess>> {
        let state = self.state();
        let init = state.containers.get(container)?.init;
        state.processes.get(&init).cloned()
    }

    fn change(&self, container: &str, change: impl FnOnce(&mut FakeContainer)) -> Result<()> {
        let mut state = self.state();
        let found = state.containers.get_mut(container);
        found.map(change).ok_or_else(|| Error::not_found(format!("no container {container}")))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self, id: ProcessId) -> Result<Arc<FakeProcess>> {
        let found = self.state().processes.get(&id.pid).cloned();
        found.ok_or_else(|| Error::not_found(format!("no process {}", id.pid)))
    }
}

impl State {
    fn add(&mut self, process: FakeProcess) -> Process {
        self.last_pid += 1;
        let process = Arc::new(process);
        self.processes.insert(self.last_pid, Arc::clone(&process));
        handle(self.last_pid, &process)
    }
}

fn handle(pid: i32, process: &FakeProcess) -> Process {
    Process {
        id: ProcessId { pid, start_time: u64::from(pid.unsigned_abs()) },
        io: ProcessIo {
            stdin: process.open_stdin.then(|| Box::new(process.stdin.clone()) as _),
            stdout: Some(Box::new(FakeReader(process.stdout.clone()))),
            stderr: (!process.tty).then(|| Box::new(FakeReader(process.stderr.clone())) as _),
        },
    }
}

fn process(stdio: StdioKind, open_stdin: bool, program: &Program) -> FakeProcess {
    let tty = stdio == StdioKind::Terminal;
    FakeProcess {
        stdin: FakePipe::new(),
        stdout: FakePipe::new(),
        stderr: FakePipe::new(),
        tty,
        open_stdin: open_stdin || tty,
        ended: watch::Sender::new(None),
        stubborn: *program == Program::Stubborn,
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn create(&self, spec: ContainerSpec) -> Result<Process> {
        if let Some(error) = self.state().fail_create.take() {
            return Err(error);
        }
        let program = programs::parse(&spec.args)?;
        let mut state = self.state();
        let created = state.add(process(spec.stdio, spec.open_stdin, &program));
        state.containers.insert(
            spec.id.clone(),
            FakeContainer {
                spec,
                program,
                init: created.id.pid,
                started: false,
                paused: false,
                memory_kills: watch::Sender::new(0),
                execs: BTreeMap::new(),
            },
        );
        Ok(created)
    }

    async fn start(&self, container: &str) -> Result<()> {
        let (process, program) = {
            let mut state = self.state();
            let found = state
                .containers
                .get_mut(container)
                .ok_or_else(|| Error::not_found(format!("no container {container}")))?;
            found.started = true;
            let (init, program) = (found.init, found.program.clone());
            (state.processes.get(&init).cloned(), program)
        };
        if let Some(process) = process {
            tokio::spawn(process.run(program, SystemClock.now()));
        }
        Ok(())
    }

    async fn exec(&self, container: &str, exec: ExecSpec) -> Result<Process> {
        let mut holds = self.holds_execs.subscribe();
        drop(holds.wait_for(|holds| !holds).await);
        let program = programs::parse(&exec.args)?;
        let mut state = self.state();
        let created = state.add(process(exec.stdio, exec.open_stdin, &program));
        let started = state.processes.get(&created.id.pid).cloned();
        state
            .containers
            .get_mut(container)
            .ok_or_else(|| Error::not_found(format!("no container {container}")))?
            .execs
            .insert(exec.id, created.id.pid);
        if let Some(process) = started {
            tokio::spawn(process.run(program, SystemClock.now()));
        }
        Ok(created)
    }

    async fn wait(&self, process: ProcessId) -> Result<ExitStatus> {
        let process = self.process(process)?;
        let mut ended = process.ended.subscribe();
        let status = ended
            .wait_for(Option::is_some)
            .await
            .map_err(|closed| Error::internal("the process is gone", closed))?;
        status.ok_or_else(|| Error::not_found("the process has no status"))
    }

    async fn signal(&self, process: ProcessId, signal: i32) -> Result<()> {
        self.process(process)?.signal(signal, SystemClock.now());
        Ok(())
    }

    async fn pause(&self, container: &str) -> Result<()> {
        self.change(container, |found| found.paused = true)
    }

    async fn resume(&self, container: &str) -> Result<()> {
        self.change(container, |found| found.paused = false)
    }

    async fn update(&self, container: &str, limits: &Cgroup) -> Result<()> {
        self.change(container, |found| found.spec.cgroup = limits.clone())
    }

    async fn usage(&self, container: &str) -> Result<Usage> {
        self.change(container, |_| {})?;
        let cpu = CpuUsage { total: 7, system: 70, online_cpus: 2, ..CpuUsage::default() };
        let memory = MemoryUsage { bytes: 4096, limit: u64::MAX, ..MemoryUsage::default() };
        let networks = [("eth0".to_owned(), InterfaceUsage::default())].into();
        Ok(Usage { cpu, memory, networks, process_limit: u64::MAX, ..Usage::default() })
    }

    async fn memory_kills(&self, container: &str, known: u64) -> Result<u64> {
        let mut kills = {
            let state = self.state();
            let found = state.containers.get(container);
            found
                .ok_or_else(|| Error::not_found(format!("no container {container}")))?
                .memory_kills
                .subscribe()
        };
        let now = kills.wait_for(|kills| *kills > known).await;
        now.map(|kills| *kills).map_err(|closed| Error::internal("the container is gone", closed))
    }

    async fn kill_all(&self, container: &str) -> Result<()> {
        let processes: Vec<_> = {
            let state = self.state();
            let Some(found) = state.containers.get(container) else { return Ok(()) };
            std::iter::once(&found.init)
                .chain(found.execs.values())
                .filter_map(|pid| state.processes.get(pid).cloned())
                .collect()
        };
        for process in processes {
            process.signal(9, SystemClock.now());
        }
        Ok(())
    }

    async fn delete(&self, container: &str) -> Result<()> {
        self.kill_all(container).await?;
        self.state().containers.remove(container);
        Ok(())
    }

    async fn forget_exec(&self, container: &str, exec: &str) -> Result<()> {
        if let Some(found) = self.state().containers.get_mut(container) {
            found.execs.remove(exec);
        }
        Ok(())
    }

    async fn processes(&self, container: &str) -> Result<Vec<i32>> {
        let state = self.state();
        Ok(state.containers.get(container).map_or_else(Vec::new, |found| vec![found.init]))
    }

    /// Knows root and numbers.
    async fn check_user(&self, _: &str, user: &str) -> Result<()> {
        if user == "root" || user.parse::<u32>().is_ok() {
            return Ok(());
        }
        let text = format!("unable to find user {user}: no matching entries in passwd file");
        Err(Error::invalid(text))
    }

    async fn process_table(&self, container: &str, _: Listed) -> Result<Vec<ProcessEntry>> {
        let state = self.state();
        let found = state
            .containers
            .get(container)
            .ok_or_else(|| Error::not_found(format!("no container {container}")))?;
        Ok(vec![ProcessEntry {
            pid: found.init,
            thread: found.init,
            parent: 1,
            state: 'S',
            threads: 1,
            terminal: "?".into(),
            name: found.spec.args[0].clone(),
            command: found.spec.args.join(" "),
            environment: found.spec.env.join(" "),
            ..ProcessEntry::default()
        }])
    }

    async fn open_files(&self, spec: FilesSpec) -> Result<Arc<dyn ContainerFiles>> {
        FakeFiles::open(&spec)
    }

    async fn mount_volume(&self, volume: VolumeMount) -> Result<()> {
        if volume.device == "/absent" {
            return Err(Error::new(crate::Kind::Internal, "no such file or directory"));
        }
        self.state().volumes.insert(volume.path.clone(), volume);
        Ok(())
    }

    async fn unmount_volume(&self, path: &Path) -> Result<()> {
        self.state().volumes.remove(path);
        Ok(())
    }

    async fn recover(&self) -> Result<Vec<Recovered>> {
        let state = self.state();
        let handle_of = |pid: &i32| state.processes.get(pid).map(|process| handle(*pid, process));
        Ok(state
            .containers
            .iter()
            .filter_map(|(id, container)| {
                Some(Recovered {
                    container: id.clone(),
                    process: handle_of(&container.init)?,
                    execs: container
                        .execs
                        .iter()
                        .filter_map(|(exec, pid)| Some((exec.clone(), handle_of(pid)?)))
                        .collect(),
                    started: container.started,
                    paused: container.paused,
                })
            })
            .collect())
    }
}
