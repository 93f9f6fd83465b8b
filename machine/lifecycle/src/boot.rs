//! From a machine's files to a VM that runs: booted, resumed, or found without a supervisor.

use std::path::PathBuf;
use std::time::Duration;

use boot::{BootContract, CONTRACT_VERSION, EngineOptions, SshIdentity, TlsIdentity};
use machine_store::atomic::{self, Access};
use machine_store::{MachinePaths, MachineRecord};

use crate::booted::Booted;
use crate::driver::{Progress, Started, VmSpec};
use crate::{BootImage, Error, MachineName, Machines};

/// How long a VM that runs already may take to answer.
const ADOPTION: Duration = Duration::from_secs(30);

impl Machines {
    /// Boots a machine whose files are all in place.
    pub(crate) async fn boot(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        image: &BootImage,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Started, Error> {
        let paths = self.store.paths(name.as_str());
        let booted = Booted { image: image.digest.clone(), record: record.clone() };
        booted.write(&paths.booted())?;
        let vm = self.vm(name, record, record, image, timeout)?;
        self.run(name, &vm, progress).await
    }

    /// Lets a suspended machine go on. It gets the certificates that are in the boot contract.
    pub(crate) async fn resume(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        image: &BootImage,
        timeout: Duration,
        progress: &dyn Progress,
    ) -> Result<Started, Error> {
        let paths = self.store.paths(name.as_str());
        // A memory fits the VM from which it was taken.
        let was = Booted::read(&paths.booted());
        let shape = was.as_ref().map_or(record, |was| &was.record);
        let vm = VmSpec {
            resume_from: Some(paths.memory_state()),
            ..self.vm(name, record, shape, image, timeout)?
        };
        let started = self.run(name, &vm, progress).await?;
        if shape.disk_size_mib < record.disk_size_mib
            && let Err(error) = self.grow_disk(name, record.disk_size_mib).await
        {
            progress.warning(&format!("the disk has not grown yet: {error}"));
        }
        Ok(started)
    }

    /// Gives a running VM a supervisor if it has none.
    pub(crate) async fn ensure_supervised(
        &self,
        name: &MachineName,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let supervised = self.driver.is_supervised(&self.files(name)).await;
        if supervised.map_err(|source| self.failed(name, "observed", source))? {
            return Ok(());
        }
        progress.step("Giving the running machine a new supervisor...");
        let record = self.store.record(name.as_str())?;
        let was = Booted::read(&self.store.paths(name.as_str()).booted());
        let shape = was.as_ref().map_or(&record, |was| &was.record);
        let vm = self.vm(name, &record, shape, &self.image()?, ADOPTION)?;
        self.run(name, &vm, progress).await.map(drop)
    }

    /// Gives the API of a running VM the certificates that the machine has now.
    pub(crate) async fn load_identity(&self, name: &MachineName) -> Result<(), Error> {
        let tls = tls_identity(&self.store.paths(name.as_str()))?;
        let loaded = self.driver.load_identity(&self.files(name), &tls).await;
        loaded.map_err(|source| self.failed(name, "given its certificates", source))
    }

    /// Lets the disk of a running VM grow, and remembers that.
    pub(crate) async fn grow_disk(&self, name: &MachineName, size_mib: u64) -> Result<(), Error> {
        let grown = self.driver.grow_disk(&self.files(name), size_mib).await;
        grown.map_err(|source| self.failed(name, "given a larger disk", source))?;
        let path = self.store.paths(name.as_str()).booted();
        if let Some(mut booted) = Booted::read(&path) {
            booted.record.disk_size_mib = size_mib;
            booted.write(&path)?;
        }
        Ok(())
    }

    async fn run(
        &self,
        name: &MachineName,
        vm: &VmSpec,
        progress: &dyn Progress,
    ) -> Result<Started, Error> {
        let started = self.driver.start(vm, progress).await;
        started.map_err(|source| self.failed(name, "started", source))
    }

    /// A VM with the sizes of `shape`, and for the rest as the record says.
    fn vm(
        &self,
        name: &MachineName,
        record: &MachineRecord,
        shape: &MachineRecord,
        image: &BootImage,
        timeout: Duration,
    ) -> Result<VmSpec, Error> {
        let paths = self.store.paths(name.as_str());
        let contract = serde_json::to_vec(&contract(name, record, &paths)?)?;
        atomic::write(&paths.boot_contract(), &contract, Access::Owner)?;
        let acceleration = shape
            .acceleration
            .parse()
            .map_err(|source| Error::Acceleration { path: paths.record(), source })?;
        Ok(VmSpec {
            machine: self.files(name),
            cpus: shape.cpus,
            memory_mib: shape.memory_mib,
            disk: paths.disk(),
            disk_size_mib: shape.disk_size_mib,
            kernel: image.files.kernel.clone(),
            initramfs: image.files.initramfs.clone(),
            boot_contract: paths.boot_contract(),
            api_port: record.ports.api,
            ssh_port: record.ports.ssh,
            acceleration,
            ca_certificate: paths.authority_certificate(),
            client_certificate: paths.client_certificate(),
            client_key: paths.client_key(),
            host_facts: self.store.layout().host_facts(),
            resume_from: None,
            timeout,
        })
    }
}

/// The identity of a machine's API, as it is stored.
fn tls_identity(paths: &MachinePaths) -> Result<TlsIdentity, Error> {
    Ok(TlsIdentity {
        ca_certificate: text(paths.authority_certificate())?,
        certificate: text(paths.server_certificate())?,
        private_key: text(paths.server_key())?,
    })
}

fn contract(
    name: &MachineName,
    record: &MachineRecord,
    paths: &MachinePaths,
) -> Result<BootContract, Error> {
    let engine = &record.engine;
    let mut labels = vec![format!("provider={}", record.driver)];
    labels.extend(engine.labels.iter().cloned());
    let login = text(paths.ssh_public_key())?.trim_end().to_owned();
    Ok(BootContract {
        version: CONTRACT_VERSION,
        machine: name.to_string(),
        id: id(&login),
        tls: tls_identity(paths)?,
        ssh: SshIdentity { host_key: text(paths.ssh_host_key())?, authorized_keys: vec![login] },
        engine: EngineOptions {
            labels,
            env: engine.env.clone(),
            insecure_registries: engine.insecure_registries.clone(),
            registry_mirrors: engine.registry_mirrors.clone(),
            storage_driver: engine.storage_driver.clone(),
            options: engine.options.clone(),
        },
    })
}

/// Of what is made anew for every machine and every copy of one, and for nothing else.
fn id(login: &str) -> String {
    let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, login.as_bytes()));
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn text(path: PathBuf) -> Result<String, machine_store::Error> {
    atomic::read(&path, 64 * 1024)
}
