//! From a stopped machine to one whose API answers.

use std::time::Duration;

use boot::{BootContract, CONTRACT_VERSION, EngineOptions, SshIdentity, TlsIdentity};
use machine_store::atomic::{self, Access};
use machine_store::{Lock, MachinePaths, MachineRecord};
use vm_images::Verified;

use crate::driver::{Progress, Started, VmSpec};
use crate::state::{Decision, Operation, decide};
use crate::{Error, MachineName, Machines, Outcome, identity};

impl Machines {
    /// Starts a stopped machine and waits until its API answers.
    pub async fn start(
        &self,
        name: &MachineName,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Outcome<Started>, Error> {
        let lock = self.lock_complete(name)?;
        self.start_locked(&lock, name, timeout, progress).await
    }

    pub(crate) async fn start_locked(
        &self,
        _lock: &Lock,
        name: &MachineName,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Outcome<Started>, Error> {
        let record = self.store.record(name.as_str())?;
        let state = self.state(name).await?;
        match decide(Operation::Start, state) {
            Decision::Act => {}
            Decision::AlreadyDone => return Ok(Outcome::AlreadyDone),
            Decision::Refuse => return Err(Error::NotStartable { name: name.clone(), state }),
        }
        let image = self.image()?;
        let now = (self.clock)();
        let authority = identity::authority(&self.store, now)?;
        let paths = self.store.paths(name.as_str());
        identity::renew(&paths, name, &record.tls_names, &authority, now)?;
        Ok(Outcome::Done(self.boot(name, &record, image, timeout, progress).await?))
    }

    /// Boots a machine whose files are all in place.
    pub(crate) async fn boot(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        image: Verified,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Started, Error> {
        let paths = self.store.paths(name.as_str());
        let contract = serde_json::to_vec(&contract(name, record, &paths)?)?;
        atomic::write(&paths.boot_contract(), &contract, Access::Owner)?;
        let acceleration = record
            .acceleration
            .parse()
            .map_err(|source| Error::Acceleration { path: paths.record(), source })?;
        let vm = VmSpec {
            machine: self.files(name),
            cpus: record.cpus,
            memory_mib: record.memory_mib,
            disk: paths.disk(),
            disk_size_mib: record.disk_size_mib,
            kernel: image.kernel,
            initramfs: image.initramfs,
            boot_contract: paths.boot_contract(),
            api_port: record.ports.api,
            ssh_port: record.ports.ssh,
            acceleration,
            ca_certificate: paths.authority_certificate(),
            client_certificate: paths.client_certificate(),
            client_key: paths.client_key(),
            host_facts: self.store.layout().host_facts(),
            timeout,
        };
        self.driver.start(&vm, progress).await.map_err(|source| Error::Driver {
            name: name.clone(),
            action: "started",
            source,
        })
    }
}

fn contract(
    name: &MachineName,
    record: &MachineRecord,
    paths: &MachinePaths,
) -> Result<BootContract, Error> {
    let text = |path: std::path::PathBuf| atomic::read(&path, 64 * 1024);
    let mut labels = vec![format!("provider={}", record.driver)];
    labels.extend(record.engine_labels.iter().cloned());
    Ok(BootContract {
        version: CONTRACT_VERSION,
        machine: name.to_string(),
        tls: TlsIdentity {
            ca_certificate: text(paths.authority_certificate())?,
            certificate: text(paths.server_certificate())?,
            private_key: text(paths.server_key())?,
        },
        ssh: SshIdentity {
            host_key: text(paths.ssh_host_key())?,
            authorized_keys: vec![text(paths.ssh_public_key())?.trim_end().to_owned()],
        },
        engine: EngineOptions { labels },
    })
}
