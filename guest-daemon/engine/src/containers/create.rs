//! Making a container: checks, merges, volumes, record; nothing runs yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine_store::logs::LogFiles;
use engine_store::objects::{ContainerRecord, ImageRecord, MountRecord, VERSION};

use super::core::Core;
use super::modes::{self, NetworkMode};
use super::state::Phase;
use super::task::{attributes_of, spawn};
use super::types::{CreateContainer, Created};
use super::{
    Containers, endpoints, image_mounts, links, merge, mounts, names, ports, validate, volumes_from,
};
use crate::blocking::blocking;
use crate::config::{ContainerConfig, HostConfig, NetworkAttachment};
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::images::{Pin, platform};
use crate::logs::{self, Hub};
use crate::time::to_stored;

impl Containers {
    pub async fn create(&self, request: CreateContainer) -> Result<Created> {
        let core = &self.core;
        // Held until the container is in the registry, which keeps its layers from then on.
        let (image, _pin) = find_image(core, &request)?;
        let mut config = merge::with_image(request.config, &image.config);
        let mut host = request.host;
        merge::with_settings(&core.settings.containers, &mut host);
        let mut warnings: Vec<String> =
            warn_of_platform(core, &request.platform, &image).into_iter().collect();
        warnings.extend(validate::check(
            &config,
            &host,
            &core.settings.containers,
            core.host.cpus,
        )?);
        let id = ids::new_id();
        pin_shared(core, &config, &mut host)?;
        merge::with_defaults(&id, &core.host.name, &mut config, &mut host);
        let networks = networks(&config, &host, request.networks)?;
        let (path, args) = merge::command(&config)?;
        let inherited = volumes_from::mounts(&core.registry, &host)?;
        let mut wanted = mounts::wanted(&config, &host, inherited)?;
        mounts::settle_propagation(&mut wanted, core.store.layout().root())?;
        self.check_bind_sources(&wanted).await?;
        // Held as long as the one above.
        let _mounted = image_mounts::find(core, &mut wanted).await?;
        let name = self.take_name(request.name.as_deref(), &id)?;
        if let Err(error) = links::resolve(&core.registry, &name, &mut host) {
            core.registry.release(&name);
            return Err(error);
        }
        let record = ContainerRecord {
            version: VERSION,
            id: id.clone(),
            name: name.clone(),
            created: to_stored(core.clock.now()),
            path,
            args,
            image: image.id.clone(),
            layers: image.layers.clone(),
            terminal_size: host.console_size,
            config,
            host,
            networks,
            ..ContainerRecord::default()
        };
        match self.make(record, wanted).await {
            Ok(()) => Ok(Created { id, warnings }),
            Err(error) => {
                core.registry.release(&name);
                Err(error)
            }
        }
    }

    fn take_name(&self, asked: Option<&str>, id: &str) -> Result<String> {
        if let Some(asked) = asked.filter(|name| !name.is_empty()) {
            let name = names::checked(asked)?;
            self.core.registry.reserve(name, id)?;
            return Ok(name.to_owned());
        }
        for attempt in 0..64 {
            let name = names::made_up(attempt);
            if self.core.registry.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        let name = ids::short(id).to_owned();
        self.core.registry.reserve(&name, id)?;
        Ok(name)
    }

    /// `--mount` demands that its source exists; `-v` makes it at the start.
    async fn check_bind_sources(&self, wanted: &[(MountRecord, bool)]) -> Result<()> {
        let sources: Vec<String> = wanted
            .iter()
            .filter(|(mount, _)| mount.kind == "bind" && !mount.create_source)
            .map(|(mount, _)| mount.source.clone())
            .collect();
        let store = self.core.store.clone();
        let missing = blocking(move || {
            Ok(sources.into_iter().find(|source| !store.guest_path_exists(source)))
        })
        .await?;
        match missing {
            Some(source) => Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {source}"
            ))),
            None => Ok(()),
        }
    }

    /// Everything on the disk, or nothing of it.
    async fn make(
        &self,
        mut record: ContainerRecord,
        wanted: Vec<(MountRecord, bool)>,
    ) -> Result<()> {
        let layers = self.core.images.layer_paths(&record.layers);
        let mut made = Vec::new();
        let result = self.fill(&mut record, wanted, &layers, &mut made).await;
        if let Err(error) = result {
            for name in made {
                if let Err(error) = self.core.volumes.remove(&name, true).await {
                    tracing::warn!(volume = name, reason = %error, "a volume stays");
                }
            }
            let (store, id) = (self.core.store.clone(), record.id.clone());
            if let Err(error) = blocking(move || store.remove_container(&id)).await {
                tracing::warn!(error = error.with_causes(), "a half-made container stays");
            }
            return Err(error);
        }
        let hub = hub(&self.core, &record);
        let (handle, starter) = spawn(&self.core, record, Arc::clone(&hub), Phase::Created, false);
        let attributes = attributes_of(&handle.look().container);
        self.core.registry.insert(handle.clone());
        self.core.events.publish("container", "create", &handle.id, attributes);
        starter.run();
        Ok(())
    }

    async fn fill(
        &self,
        record: &mut ContainerRecord,
        wanted: Vec<(MountRecord, bool)>,
        layers: &[PathBuf],
        made: &mut Vec<String>,
    ) -> Result<()> {
        for (mut mount, copy) in wanted {
            if mount.kind == "volume" {
                let asked = record.host.mounts.iter().find(|request| {
                    request.kind == "volume" && mounts::clean(&request.target) == mount.destination
                });
                let (name, new) = self.core.volumes.for_container(&mount.name, asked).await?;
                if new && mount.anonymous {
                    made.push(name.clone());
                }
                mount.name = name;
                if copy {
                    self.core
                        .volumes
                        .copy_up(&mount.name, layers, Path::new(&mount.destination))
                        .await?;
                }
            }
            record.mounts.push(mount);
        }
        let (store, record) = (self.core.store.clone(), record.clone());
        blocking(move || {
            store.create_container_folder(&record.id)?;
            for name in ["hosts", "hostname", "resolv.conf"] {
                store.write_container_file(&record.id, name, "")?;
            }
            store.sync_container_folder(&record.id)?;
            store.put_container(&record)
        })
        .await
    }
}

/// The hub of a container that exists.
pub(super) fn hub(core: &Core, record: &ContainerRecord) -> Arc<Hub> {
    let place = logs::place(&record.host.log_config, core.store.layout(), &record.id);
    Hub::new(place.map(LogFiles::new))
}

fn find_image(core: &Core, request: &CreateContainer) -> Result<(Arc<ImageRecord>, Pin)> {
    let (image, pin) = core.images.hold(&request.config.image)?;
    if !request.platform.is_empty() {
        let wanted = platform::parse(&request.platform, core.images.architecture())?;
        platform::check(&image, &request.config.image, &wanted)?;
    }
    Ok((image, pin))
}

/// What runs only if the kernel knows a program that emulates it is warned of, unless it was asked
/// for.
fn warn_of_platform(core: &Core, request: &str, image: &ImageRecord) -> Option<String> {
    let mut host = platform::own(core.images.architecture());
    if host.variant.is_empty() {
        host.variant.clone_from(&core.host.cpu_level);
    }
    let has = platform::of(image);
    (request.is_empty() && !platform::fits(&has, &host)).then(|| {
        format!(
            "The requested image's platform ({}) does not match the detected host platform ({}) \
             and no specific platform was requested",
            platform::shown(&has),
            platform::shown(&host)
        )
    })
}

/// Names of other containers become ids, so that a rename changes nothing.
fn pin_shared(core: &Core, config: &ContainerConfig, host: &mut HostConfig) -> Result<()> {
    if let NetworkMode::Container(other) = modes::network(config, host)? {
        let conflict = |text: &str| Err(Error::new(Kind::InvalidArgument, text));
        if !config.hostname.is_empty() {
            return conflict("conflicting options: hostname and the network mode");
        }
        if ports::any(host) || host.publish_all_ports {
            return conflict(
                "conflicting options: port publishing and the container type network mode",
            );
        }
        host.network_mode = format!("container:{}", core.registry.find(&other)?.id);
    }
    for mode in [&mut host.pid_mode, &mut host.ipc_mode] {
        if let Some(other) = mode.strip_prefix("container:") {
            *mode = format!("container:{}", core.registry.find(other)?.id);
        }
    }
    Ok(())
}

fn networks(
    config: &ContainerConfig,
    host: &HostConfig,
    asked: std::collections::BTreeMap<String, NetworkAttachment>,
) -> Result<std::collections::BTreeMap<String, NetworkAttachment>> {
    let mode = modes::network(config, host)?;
    let own = match &mode {
        NetworkMode::Bridge => "bridge",
        NetworkMode::None => "none",
        NetworkMode::Host => "host",
        NetworkMode::Container(_) => return Ok(Default::default()),
    };
    let mut attachment = NetworkAttachment::default();
    for (name, given) in asked {
        if name != own && name != "default" {
            return Err(Error::not_found(format!("network {name} not found")));
        }
        if given.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty()) {
            return Err(Error::invalid(
                "network-scoped alias is supported only for containers in user defined networks",
            ));
        }
        endpoints::check(&given)?;
        attachment = given;
    }
    Ok(std::iter::once((own.to_owned(), attachment)).collect())
}
