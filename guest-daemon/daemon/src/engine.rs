//! Building the engine from its adapters, and ending it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use boot::BootContract;
use engine::time::SystemClock;
use engine::{Engine, EngineConfig, HostFacts};
use engine_http::{Server, ServerFacts};
use engine_network::BridgeNetwork;
use engine_registry::HttpRegistry;
use engine_runtime::NamespaceRuntime;
use engine_syslog::Network;
use guest_init::client::InitClient;
use guest_init::disk::DATA_ROOT;
use guest_init::handover;

use crate::control::Control;
use crate::settings::Chosen;

/// In memory: gone after a boot, not after a restart of the daemon.
const RUN_ROOT: &str = "/run/docker";

/// What registries have to prove, and how we do.
const CERTIFICATES: &str = "/etc/docker/certs.d";
/// The image's `/etc/docker` leads here, so that what is put there stays.
const CONFIGURATION: &str = "/var/lib/docker/etc/certs.d";

/// How long ending them may take; init kills everything a little later.
const DRAIN: Duration = Duration::from_secs(15);

pub(crate) fn runtime(init: InitClient) -> NamespaceRuntime {
    NamespaceRuntime::new(init, PathBuf::from(RUN_ROOT).join("runtime"))
}

pub(crate) async fn open(
    machine: &BootContract,
    chosen: &Chosen,
    runtime: NamespaceRuntime,
    control: Arc<Control>,
) -> anyhow::Result<Arc<Engine>> {
    if let Err(error) = std::fs::create_dir_all(CONFIGURATION) {
        tracing::warn!(%error, "/etc/docker is not there");
    }
    let run_root = PathBuf::from(RUN_ROOT);
    let options = engine_network::Options {
        mtu: chosen.mtu,
        host_gateway: chosen.settings.containers.host_gateway,
    };
    let network = BridgeNetwork::new(control, run_root.join("network"), options);
    let config = EngineConfig {
        data_root: DATA_ROOT.into(),
        run_root,
        runtime: Arc::new(runtime),
        network: Arc::new(network),
        syslog: Arc::new(Network),
        remote: Arc::new(HttpRegistry::new(registries(chosen)?)),
        host: host_facts(machine),
        settings: chosen.settings.clone(),
        clock: Arc::new(SystemClock),
    };
    Engine::open(config).await.context("the engine does not open")
}

fn registries(chosen: &Chosen) -> anyhow::Result<engine_registry::Options> {
    let settings = &chosen.settings;
    let kernel = rustix::system::uname();
    let agent = format!(
        "docker/28.5.2 machine/{} kernel/{} os/linux arch/{}",
        env!("CARGO_PKG_VERSION"),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
    );
    Ok(engine_registry::Options {
        registries: settings.registries.clone(),
        proxies: settings.proxies.clone(),
        attempts: settings.transfers.attempts,
        ..engine_registry::Options::new(agent, CERTIFICATES.into())?
    })
}

pub(crate) fn server(engine: Arc<Engine>) -> Arc<Server> {
    let facts = ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: option_env!("MACHINE_GIT_COMMIT").unwrap_or_default().to_owned(),
        build_time: option_env!("MACHINE_BUILD_TIME").unwrap_or_default().to_owned(),
        toolchain: concat!("rustc ", env!("CARGO_PKG_RUST_VERSION")).to_owned(),
    };
    Server::new(engine, facts)
}

/// Ends the containers if the machine ends; otherwise they go on, and the next daemon takes them
/// over.
pub(crate) async fn drain(engine: &Engine, grace_seconds: i64) {
    if !handover::machine_ends() {
        tracing::info!("the daemon ends, containers go on");
        return;
    }
    tracing::info!("ending all containers");
    if tokio::time::timeout(DRAIN, engine.shutdown(grace_seconds)).await.is_err() {
        tracing::warn!("containers did not end in time");
    }
}

fn host_facts(machine: &BootContract) -> HostFacts {
    let kernel = rustix::system::uname();
    let memory = rustix::system::sysinfo();
    HostFacts {
        name: machine.machine.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        id: machine.id.clone(),
        kernel_version: kernel.release().to_string_lossy().into_owned(),
        operating_system: concat!("machine ", env!("CARGO_PKG_VERSION")).to_owned(),
        architecture: kernel.machine().to_string_lossy().into_owned(),
        cpu_level: cpu_level().to_owned(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory: memory.totalram * u64::from(memory.mem_unit),
    }
}

/// What the psABI of x86-64 calls a level; images can be made for one.
#[cfg(target_arch = "x86_64")]
fn cpu_level() -> &'static str {
    macro_rules! has {
        ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* };
    }
    let second = has!("cmpxchg16b" "popcnt" "sse3" "sse4.1" "sse4.2" "ssse3");
    let third = second && has!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe");
    let fourth = third && has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl");
    match (second, third, fourth) {
        (_, _, true) => "v4",
        (_, true, _) => "v3",
        (true, _, _) => "v2",
        _ => "",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_level() -> &'static str {
    ""
}
