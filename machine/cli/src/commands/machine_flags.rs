//! The flags that say what a new machine should be like.

use machine_lifecycle::driver::Acceleration;
use machine_lifecycle::{DriverKind, MachineConfig, MachineSpec};
use machine_store::{EngineRecord, SwarmRecord};

use crate::Context;
use crate::error::CommandError;
use crate::size::megabytes;

const QEMU: &str = "qemu";
const USUAL_CPUS: u32 = 2;
const USUAL_MEMORY_MIB: u64 = 1024;
const USUAL_DISK_MIB: u64 = 20_000;

const ENGINE: &str = "Options of the container engine";
const SWARM: &str = "Options for classic Swarm (kept and shown, nothing is started)";

/// What a new machine should be like.
#[derive(Debug, clap::Args)]
pub(crate) struct MachineFlags {
    /// What runs the machine: qemu, or none for a Docker host that runs elsewhere
    /// [env: MACHINE_DRIVER] [default: qemu]
    #[arg(short, long)]
    driver: Option<String>,

    /// Where the Docker host of --driver none is: tcp://HOST:PORT
    #[arg(long)]
    url: Option<String>,

    /// Number of CPUs; -1 for as many as this host has [env: QEMU_CPU_COUNT] [default: 2, or 1 on
    /// a host with one]
    #[arg(long, alias = "qemu-cpu-count", value_name = "N", allow_negative_numbers = true)]
    cpu_count: Option<i64>,

    /// Memory in MB, or like 2GB [env: QEMU_MEMORY] [default: 1024]
    #[arg(long, alias = "qemu-memory", value_name = "SIZE", value_parser = megabytes)]
    memory: Option<u64>,

    /// Most that the disk may grow to, in MB or like 20GB [env: QEMU_DISK_SIZE] [default: 20000]
    #[arg(long, alias = "qemu-disk-size", value_name = "SIZE", value_parser = megabytes)]
    disk_size: Option<u64>,

    /// Who executes the guest: auto, kvm, hvf or tcg [default: auto]
    #[arg(long, alias = "qemu-accel", value_name = "KIND")]
    accel: Option<Acceleration>,

    /// Another name or address for the server's certificate; repeatable
    #[arg(long, value_name = "NAME")]
    tls_san: Vec<String>,

    #[command(flatten)]
    engine: EngineFlags,

    #[command(flatten)]
    swarm: SwarmFlags,
}

#[derive(Debug, clap::Args)]
struct EngineFlags {
    /// A label KEY=VALUE, shown by `docker info`; repeatable
    #[arg(long, value_name = "LABEL", help_heading = ENGINE)]
    engine_label: Vec<String>,

    /// A variable KEY=VALUE of the engine's environment, such as HTTPS_PROXY; repeatable
    #[arg(long, value_name = "VARIABLE", help_heading = ENGINE)]
    engine_env: Vec<String>,

    /// An option of dockerd without its dashes: KEY=VALUE, or KEY alone; repeatable
    #[arg(long, value_name = "OPTION", help_heading = ENGINE)]
    engine_opt: Vec<String>,

    /// A registry HOST[:PORT] or network to speak to without checking its certificate; repeatable
    #[arg(long, value_name = "REGISTRY", help_heading = ENGINE)]
    engine_insecure_registry: Vec<String>,

    /// A URL to ask before Docker Hub; repeatable [env: ENGINE_REGISTRY_MIRROR]
    #[arg(long, value_name = "URL", help_heading = ENGINE)]
    engine_registry_mirror: Vec<String>,

    /// The storage driver; there is one, overlay2
    #[arg(long, value_name = "NAME", help_heading = ENGINE)]
    engine_storage_driver: Option<String>,

    /// Kept and shown, without effect: nothing is installed [env: MACHINE_DOCKER_INSTALL_URL]
    #[arg(long, value_name = "URL", hide_short_help = true, help_heading = ENGINE)]
    engine_install_url: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SwarmFlags {
    /// The machine is of a swarm
    #[arg(long, hide_short_help = true, help_heading = SWARM)]
    swarm: bool,

    /// The machine is its master
    #[arg(long, hide_short_help = true, help_heading = SWARM)]
    swarm_master: bool,

    /// How the swarm's members find each other: KIND://WHERE
    #[arg(long, value_name = "URL", hide_short_help = true, help_heading = SWARM)]
    swarm_discovery: Option<String>,

    /// How containers are spread
    #[arg(
        long,
        value_name = "NAME",
        default_value = "spread",
        hide_short_help = true,
        help_heading = SWARM
    )]
    swarm_strategy: String,

    /// An option of the swarm's master; repeatable
    #[arg(long, value_name = "OPTION", hide_short_help = true, help_heading = SWARM)]
    swarm_opt: Vec<String>,

    /// An option of joining the swarm; repeatable
    #[arg(long, value_name = "OPTION", hide_short_help = true, help_heading = SWARM)]
    swarm_join_opt: Vec<String>,

    /// Where the master listens
    #[arg(
        long,
        value_name = "URL",
        default_value = "tcp://0.0.0.0:3376",
        hide_short_help = true,
        help_heading = SWARM
    )]
    swarm_host: String,

    /// The address that others are told
    #[arg(long, value_name = "ADDRESS", hide_short_help = true, help_heading = SWARM)]
    swarm_addr: Option<String>,

    /// The image of the swarm's program [env: MACHINE_SWARM_IMAGE] [default: swarm:latest]
    #[arg(long, value_name = "IMAGE", hide_short_help = true, help_heading = SWARM)]
    swarm_image: Option<String>,

    /// Use what is experimental
    #[arg(long, hide_short_help = true, help_heading = SWARM)]
    swarm_experimental: bool,
}

impl MachineFlags {
    /// The flags, then the environment, then what is usual.
    pub(crate) fn spec(&self, context: &Context) -> Result<MachineSpec, CommandError> {
        let named = self.driver.as_deref().or_else(|| context.variable("MACHINE_DRIVER"));
        self.over(usual(context)?, named, context)
    }

    /// The flags, then the file, then the environment, then what is usual.
    pub(crate) fn spec_with(
        &self,
        file: &MachineConfig,
        context: &Context,
    ) -> Result<MachineSpec, CommandError> {
        let spec = file.to_spec(usual(context)?).map_err(|error| {
            CommandError::usage("the configuration cannot be used").because(&error)
        })?;
        let variable = context.variable("MACHINE_DRIVER");
        let variable = variable.filter(|_| file.driver.is_none() && file.url.is_none());
        self.over(spec, self.driver.as_deref().or(variable), context)
    }

    fn over(
        &self,
        mut spec: MachineSpec,
        named: Option<&str>,
        context: &Context,
    ) -> Result<MachineSpec, CommandError> {
        self.swarm.check()?;
        if named.is_some() || self.url.is_some() {
            let url = match (&spec.driver, &self.url) {
                (_, Some(url)) => Some(url.clone()),
                (DriverKind::None { url }, None) if named != Some(QEMU) => Some(url.clone()),
                (DriverKind::None { .. } | DriverKind::Qemu, None) => None,
            };
            spec.driver = driver(named.unwrap_or(QEMU), url)?;
        }
        if let Some(count) = self.cpu_count {
            spec.cpus = cpus(count, context.capacity.cpus);
        }
        spec.memory_mib = self.memory.unwrap_or(spec.memory_mib);
        spec.disk_size_mib = self.disk_size.unwrap_or(spec.disk_size_mib);
        spec.acceleration = self.accel.unwrap_or(spec.acceleration);
        if !self.tls_san.is_empty() {
            spec.tls_names.clone_from(&self.tls_san);
        }
        self.engine.over(&mut spec.engine);
        self.swarm.over(&mut spec.swarm, context);
        Ok(spec)
    }
}

impl EngineFlags {
    fn over(&self, engine: &mut EngineRecord) {
        replace(&mut engine.labels, &self.engine_label);
        replace(&mut engine.env, &self.engine_env);
        replace(&mut engine.insecure_registries, &self.engine_insecure_registry);
        replace(&mut engine.registry_mirrors, &self.engine_registry_mirror);
        replace(&mut engine.options, &self.engine_opt);
        if self.engine_storage_driver.is_some() {
            engine.storage_driver.clone_from(&self.engine_storage_driver);
        }
        if self.engine_install_url.is_some() {
            engine.install_url.clone_from(&self.engine_install_url);
        }
    }
}

impl SwarmFlags {
    fn check(&self) -> Result<(), CommandError> {
        match &self.swarm_discovery {
            Some(url) if !url.contains("://") => {
                let what = format!("Swarm Discovery URL was in the wrong format: {url}");
                Err(CommandError::usage(&what)
                    .originally(format!("Error parsing swarm discovery: {what}"))
                    .hint("write it like --swarm-discovery token://1234"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn over(&self, swarm: &mut Option<SwarmRecord>, context: &Context) {
        if !(self.swarm || self.swarm_master || self.swarm_discovery.is_some()) {
            return;
        }
        *swarm = Some(SwarmRecord {
            is_master: self.swarm_master,
            discovery: self.swarm_discovery.clone().unwrap_or_default(),
            strategy: self.swarm_strategy.clone(),
            host: self.swarm_host.clone(),
            address: self.swarm_addr.clone().unwrap_or_default(),
            image: self
                .swarm_image
                .as_deref()
                .or_else(|| context.variable("MACHINE_SWARM_IMAGE"))
                .unwrap_or("swarm:latest")
                .to_owned(),
            experimental: self.swarm_experimental,
            options: self.swarm_opt.clone(),
            join_options: self.swarm_join_opt.clone(),
        });
    }
}

/// A machine as the environment wants it, for what nobody says otherwise.
fn usual(context: &Context) -> Result<MachineSpec, CommandError> {
    let text = |name| context.variable(name).map(str::to_owned);
    let count = set("QEMU_CPU_COUNT", context, |text| {
        text.parse().map_err(|_| format!("{text:?} is not a number"))
    })?;
    let host_cpus = context.capacity.cpus;
    Ok(MachineSpec {
        driver: DriverKind::Qemu,
        cpus: count.map_or(USUAL_CPUS.min(host_cpus), |count| cpus(count, host_cpus)),
        memory_mib: set("QEMU_MEMORY", context, megabytes)?.unwrap_or(USUAL_MEMORY_MIB),
        disk_size_mib: set("QEMU_DISK_SIZE", context, megabytes)?.unwrap_or(USUAL_DISK_MIB),
        acceleration: Acceleration::Auto,
        tls_names: Vec::new(),
        engine: EngineRecord {
            registry_mirrors: text("ENGINE_REGISTRY_MIRROR").into_iter().collect(),
            install_url: text("MACHINE_DOCKER_INSTALL_URL"),
            ..EngineRecord::default()
        },
        swarm: None,
    })
}

fn driver(name: &str, url: Option<String>) -> Result<DriverKind, CommandError> {
    match (name, url) {
        (QEMU, None) => Ok(DriverKind::Qemu),
        ("none", Some(url)) => Ok(DriverKind::None { url }),
        ("none", None) => Err(CommandError::usage("--driver none needs --url")
            .originally(
                "Error setting machine configuration from flags provided: --url option is \
                 required when no driver is selected",
            )
            .hint("name the Docker host: --driver none --url tcp://HOST:2376")),
        (QEMU, Some(_)) => Err(CommandError::usage("--url is for --driver none only")
            .hint("leave --url away: a machine of qemu gets an address of its own")),
        (other, _) => {
            let other = other.escape_debug();
            Err(CommandError::usage(format!("Driver \"{other}\" not found"))
                .originally(format!(
                    "Driver \"{other}\" not found. Do you have the plugin binary \
                     \"docker-machine-driver-{other}\" accessible in your PATH?"
                ))
                .hint("leave --driver away for a machine of qemu; the other driver is none"))
        }
    }
}

fn replace(list: &mut Vec<String>, given: &[String]) {
    if !given.is_empty() {
        *list = given.to_vec();
    }
}

/// What a variable says, if it is set.
fn set<T>(
    variable: &str,
    context: &Context,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, CommandError> {
    context
        .variable(variable)
        .map(|text| parse(text).map_err(|what| CommandError::usage(format!("{variable}: {what}"))))
        .transpose()
}

fn cpus(wanted: i64, host: u32) -> u32 {
    match wanted {
        -1 => host,
        // What is no sensible number is refused with the other absurd wishes.
        count => u32::try_from(count).unwrap_or(if count < 0 { 0 } else { u32::MAX }),
    }
}

#[cfg(test)]
mod tests {
    use super::cpus;

    #[test]
    fn minus_one_means_all_cpus() {
        assert_eq!(cpus(-1, 8), 8);
        assert_eq!(cpus(4, 8), 4);
        assert_eq!(cpus(-7, 8), 0);
    }
}
