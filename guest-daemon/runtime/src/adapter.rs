//! The engine's Runtime port: containers and their processes.

mod launch;
mod recovery;
mod warm_up;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::error::{Error, Kind, Result};
use engine::ports::{
    Cgroup, ContainerFiles, ContainerSpec, ExecSpec, ExitStatus, FilesSpec, Listed, Process,
    ProcessEntry, ProcessId, Recovered, Runtime, Usage, VolumeMount,
};
use guest_init::client::InitClient;

use crate::prepare::Kept;
use crate::records::{self, Record, container_prefix, exec_prefix};
use crate::starter::Starter;
use crate::user_namespace::UserNamespace;
use crate::{
    beneath, cgroup, identity, images, memory_kills, overlay, process_table, shared_memory,
    signals, start, usage, volumes,
};

/// Containers made by the starter; init is the parent of their processes and keeps their pipes.
#[derive(Clone, Debug)]
pub struct NamespaceRuntime {
    init: InitClient,
    state_root: PathBuf,
    records: Arc<Mutex<BTreeMap<String, Record>>>,
    starter: Arc<Starter>,
    users: Arc<UserNamespace>,
    kept: Arc<Kept>,
}

impl NamespaceRuntime {
    /// Keeps what a later daemon needs in `state_root`, a directory in memory.
    pub fn new(init: InitClient, state_root: PathBuf) -> Self {
        Self {
            init,
            state_root,
            records: Arc::default(),
            starter: Arc::default(),
            users: Arc::default(),
            kept: Arc::default(),
        }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where containers wait for their starts: a FIFO for each.
    fn starts(&self) -> PathBuf {
        self.state_root.join("start")
    }

    /// Where shared memory is that several containers may have.
    fn shared_memories(&self) -> PathBuf {
        self.state_root.join("shm")
    }

    /// Where a container's layers are while its root is mounted with other owners.
    fn mapped_layers(&self, container: &str) -> PathBuf {
        self.state_root.join("layers").join(container)
    }

    /// Changes a record, on disk first.
    fn update(&self, container: &str, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut records = self.records();
        let record = records.get_mut(container).ok_or_else(|| no_container(container))?;
        let mut changed = record.clone();
        change(&mut changed);
        records::save(&self.state_root, &changed)
            .map_err(|error| Error::internal("cannot record the container", error))?;
        *record = changed;
        Ok(())
    }

    fn record(&self, container: &str) -> Result<Record> {
        self.records().get(container).cloned().ok_or_else(|| no_container(container))
    }

    /// The control group of a container that is known.
    fn group(&self, container: &str) -> Result<PathBuf> {
        self.record(container).map(|record| record.group())
    }

    /// Enters a container that is about to be made.
    fn enter(&self, spec: &ContainerSpec) -> Result<()> {
        let mut records = self.records();
        if records.contains_key(&spec.id) {
            return Err(Error::conflict(format!("container {} exists already", spec.id)));
        }
        let record = Record {
            id: spec.id.clone(),
            merged: spec.root.merged.clone(),
            ulimits: spec.ulimits.clone(),
            oom_score_adj: spec.oom_score_adj,
            cgroup_parent: spec.cgroup.parent.clone(),
            first_user: spec.users.map(|users| users.first),
            images: spec.images.iter().map(|image| image.place.clone()).collect(),
            ..Record::default()
        };
        std::fs::create_dir_all(self.starts())
            .and_then(|()| records::save(&self.state_root, &record))
            .map_err(|error| Error::internal("cannot record the container", error))?;
        records.insert(spec.id.clone(), record);
        Ok(())
    }

    /// The control group of the container that a process belongs to.
    fn group_of(&self, process: ProcessId) -> Option<PathBuf> {
        self.records().values().find_map(|record| {
            let mut processes = record.process.iter().chain(record.execs.values());
            processes.any(|it| it.id() == process).then(|| record.group())
        })
    }
}

#[async_trait]
impl Runtime for NamespaceRuntime {
    async fn create(&self, spec: ContainerSpec) -> Result<Process> {
        if !is_id(&spec.id) {
            return Err(Error::invalid("not a container's id"));
        }
        self.enter(&spec)?;
        let spec = Arc::new(spec);
        let created = self.try_create(&spec).await;
        if created.is_err()
            && let Err(error) = self.delete(&spec.id).await
        {
            tracing::error!(container = spec.id, %error, "a half made container stays");
        }
        created
    }

    async fn start(&self, container: &str) -> Result<()> {
        // Recorded first: a daemon that finds it started lets it run again, which does no harm,
        // while one that finds it not started would delete a running container.
        self.update(container, |record| record.started = true)?;
        let word = start::give(&self.starts(), container)
            .map_err(|error| Error::internal("cannot start the container", error))?;
        blocking(move || Ok(start::executed(&word))).await.map(drop)
    }

    async fn exec(&self, container: &str, exec: ExecSpec) -> Result<Process> {
        self.try_exec(container, exec).await
    }

    async fn wait(&self, process: ProcessId) -> Result<ExitStatus> {
        let group = self.group_of(process);
        let exit = self.init.wait(process.pid, process.start_time).await.map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => Kind::NotFound,
                _ => Kind::Internal,
            };
            Error::caused(kind, "cannot wait for the process", error)
        })?;
        Ok(ExitStatus {
            code: guest_process::shell_code(exit.status),
            oom_killed: group.is_some_and(|group| cgroup::oom_killed(&group)),
            unix_nanos: exit.unix_nanos,
        })
    }

    async fn signal(&self, process: ProcessId, signal: i32) -> Result<()> {
        signals::send(process, signal).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::caused(Kind::NotFound, "the process has ended", error)
            }
            io::ErrorKind::InvalidInput => {
                Error::caused(Kind::InvalidArgument, format!("invalid signal: {signal}"), error)
            }
            _ => Error::internal("cannot send the signal", error),
        })
    }

    async fn pause(&self, container: &str) -> Result<()> {
        let group = self.group(container)?;
        let stop = move || cgroup::freeze(&group);
        blocking(move || stop().map_err(|error| Error::internal("cannot stop it", error))).await
    }

    async fn resume(&self, container: &str) -> Result<()> {
        let group = self.group(container)?;
        cgroup::thaw(&group).map_err(|error| Error::internal("cannot let it run on", error))
    }

    async fn update(&self, container: &str, limits: &Cgroup) -> Result<()> {
        let group = self.group(container)?;
        let limits = limits.clone();
        let update = move || cgroup::update(&group, &limits);
        // Less memory than there is in use takes the kernel a while.
        blocking(move || update().map_err(|error| Error::internal("cannot limit it", error))).await
    }

    async fn usage(&self, container: &str) -> Result<Usage> {
        let group = self.group(container)?;
        let first = self.record(container)?.process.ok_or_else(|| not_running(container))?;
        usage::of(&group, first.id()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => not_running(container),
            _ => Error::internal("cannot measure the container", error),
        })
    }

    async fn memory_kills(&self, container: &str, known: u64) -> Result<u64> {
        let group = self.group(container)?;
        memory_kills::more_than(known, &group)
            .await
            .map_err(|error| Error::internal("cannot watch the container's memory", error))
    }

    async fn kill_all(&self, container: &str) -> Result<()> {
        let group = self.group(container)?;
        cgroup::kill(&group).map_err(|error| Error::internal("cannot kill the container", error))
    }

    async fn delete(&self, container: &str) -> Result<()> {
        let Ok(record) = self.record(container) else { return Ok(()) };
        let starts = self.starts();
        let (id, merged, group) = (record.id.clone(), record.merged.clone(), record.group());
        let shm = self.shared_memories().join(container);
        let layers = self.mapped_layers(container);
        let images = record.images.clone();
        blocking(move || {
            let remove = || -> io::Result<()> {
                cgroup::remove(&group)?;
                cgroup::remove_above(&group);
                overlay::unmount_all(&merged)?;
                images::unmount(&images)?;
                overlay::unmap(&layers)?;
                shared_memory::remove(&shm)?;
                start::remove(&starts, &id)
            };
            remove().map_err(|error| Error::internal("cannot delete the container", error))
        })
        .await?;
        self.forget_streams(record.process.as_ref(), &container_prefix(container)).await?;
        for (exec, process) in &record.execs {
            self.forget_streams(Some(process), &exec_prefix(container, exec)).await?;
        }
        records::remove(&self.state_root, container)
            .map_err(|error| Error::internal("cannot forget the container", error))?;
        self.records().remove(container);
        Ok(())
    }

    async fn forget_exec(&self, container: &str, exec: &str) -> Result<()> {
        let Ok(record) = self.record(container) else { return Ok(()) };
        let Some(process) = record.execs.get(exec) else { return Ok(()) };
        self.forget_streams(Some(process), &exec_prefix(container, exec)).await?;
        self.update(container, |record| {
            record.execs.remove(exec);
        })
    }

    async fn processes(&self, container: &str) -> Result<Vec<i32>> {
        let group = self.group(container)?;
        cgroup::processes(&group).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => not_running(container),
            _ => Error::internal("cannot list the container's processes", error),
        })
    }

    async fn check_user(&self, container: &str, user: &str) -> Result<()> {
        let first = self.record(container)?.process.ok_or_else(|| not_running(container))?;
        let root = format!("/proc/{}/root", first.id().pid);
        let (gone, user) = (not_running(container), user.to_owned());
        blocking(move || {
            let root = beneath::open_root(Path::new(&root)).map_err(|_| gone)?;
            let found = identity::resolve(root.as_fd(), &user, &[]);
            found.map(drop).map_err(|error| Error::invalid(error.to_string()))
        })
        .await
    }

    async fn process_table(&self, container: &str, of: Listed) -> Result<Vec<ProcessEntry>> {
        Ok(process_table::entries(&self.processes(container).await?, of))
    }

    async fn open_files(&self, spec: FilesSpec) -> Result<Arc<dyn ContainerFiles>> {
        let kept = Arc::clone(&self.kept);
        blocking(move || {
            let view = kept.views.open(spec).map_err(|error| {
                Error::internal("cannot open the container's file system", error)
            })?;
            Ok(view as _)
        })
        .await
    }

    async fn mount_volume(&self, volume: VolumeMount) -> Result<()> {
        blocking(move || volumes::mount(&volume)).await
    }

    async fn unmount_volume(&self, path: &Path) -> Result<()> {
        let path = path.to_owned();
        blocking(move || volumes::unmount(&path)).await
    }

    async fn recover(&self) -> Result<Vec<Recovered>> {
        self.recover_all().await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("a task of the runtime was lost", error))?
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn no_container(container: &str) -> Error {
    Error::not_found(format!("no such container in the runtime: {container}"))
}

fn not_running(container: &str) -> Error {
    Error::conflict(format!("container {container} is not running"))
}
