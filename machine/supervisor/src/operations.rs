//! What commands order of a running machine, apart from its end. One at a time, beside the owner,
//! so that nobody else waits for it.

use std::path::Path;
use std::time::Duration;

use boot::{HostMessage, TlsIdentity};
use machine_lifecycle::driver::DriverError;
use tokio::task::JoinHandle;

use crate::attempt::refused;
use crate::protocol::Order;
use crate::requests::Done;
use crate::save::Job;
use crate::vm::Vm;

/// How long the guest's daemon may take to grow its file system.
const GROW_BOUND: Duration = Duration::from_secs(60);
/// How long it may take to use another identity.
const IDENTITY_BOUND: Duration = Duration::from_secs(10);

/// An order that is being carried out.
#[derive(Debug)]
pub(crate) struct Operation {
    task: JoinHandle<Finished>,
    /// It lets the VM stand still, for longer than a moment.
    pub(crate) saves: bool,
}

/// An order that was carried out, or not.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) done: Option<Done>,
    pub(crate) result: Result<(), DriverError>,
    pub(crate) came_to: CameTo,
}

/// What an order has changed for those that follow.
#[derive(Debug)]
pub(crate) enum CameTo {
    Nothing,
    /// The VM is gone.
    End,
    /// The API has another identity.
    Identity(Box<TlsIdentity>),
}

impl Operation {
    pub(crate) fn start(job: Job, order: Order, mut done: Done) -> Self {
        let saves = matches!(order, Order::Suspend { .. } | Order::Snapshot { .. });
        let task = tokio::spawn(async move {
            let (result, came_to) = match carry_out(&job, order, &mut done).await {
                Ok(came_to) => (Ok(()), came_to),
                Err(error) => (Err(error), CameTo::Nothing),
            };
            Finished { done: Some(done), result, came_to }
        });
        Self { task, saves }
    }

    /// Waits until it is done; for ever if there is none.
    pub(crate) async fn finished(operation: &mut Option<Self>) -> Finished {
        let Some(current) = operation else { return std::future::pending().await };
        let finished = (&mut current.task).await.unwrap_or_else(|error| Finished {
            done: None,
            result: Err(DriverError::Failed(error.to_string())),
            came_to: CameTo::Nothing,
        });
        *operation = None;
        finished
    }
}

async fn carry_out(job: &Job, order: Order, done: &mut Done) -> Result<CameTo, DriverError> {
    let vm = &job.vm;
    match order {
        Order::Pause => vm.qmp.stop().await.map_err(|error| refused(&error))?,
        Order::Unpause => vm.qmp.resume().await.map_err(|error| refused(&error))?,
        Order::Suspend { state } => {
            job.suspend(&state, done.closed()).await?;
            return Ok(CameTo::End);
        }
        Order::Snapshot { state, disk } => {
            job.snapshot(state.as_deref(), &disk, done.closed()).await?;
        }
        Order::GrowDisk { size_mib } => grow(vm, &job.disk, size_mib).await?,
        Order::LoadIdentity { tls } => {
            let copy = tls.clone();
            load_identity(vm, copy).await.map_err(DriverError::Failed)?;
            return Ok(CameTo::Identity(Box::new(tls)));
        }
    }
    Ok(CameTo::Nothing)
}

/// Grows the disk, if it is smaller, and the file system on it.
pub(crate) async fn grow(vm: &Vm, disk: &Path, size_mib: u64) -> Result<(), DriverError> {
    let now = machine_qemu::disk::virtual_size(disk)
        .map_err(|error| DriverError::Failed(error.to_string()))?;
    let wanted = size_mib * 1024 * 1024;
    if wanted > now {
        vm.qmp.resize_disk(wanted).await.map_err(|error| refused(&error))?;
    }
    let grown = vm.ask(|id| HostMessage::GrowDisk { id }, GROW_BOUND).await;
    grown.map_err(|reason| DriverError::Failed(format!("the file system was not grown: {reason}")))
}

/// Gives the guest's daemon another identity, or says why it keeps the one it has.
pub(crate) async fn load_identity(vm: &Vm, tls: TlsIdentity) -> Result<(), String> {
    vm.ask(|id| HostMessage::LoadIdentity { id, tls }, IDENTITY_BOUND).await
}
