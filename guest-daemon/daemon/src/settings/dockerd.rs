//! dockerd's command line options: those that mean something here.

use std::net::IpAddr;

use engine::config::{LogConfig, Ulimit};
use engine::settings::ContainerDefaults;
use tracing_subscriber::filter::LevelFilter;

use super::{Chosen, Lists};

/// Longer than this init does not wait.
const LONGEST_GRACE_SECONDS: i64 = 12;
const MOST_TRANSFERS: usize = 64;
const MTU: std::ops::RangeInclusive<u32> = 68..=65_535;

/// What the engine does anyway, and cannot do otherwise.
const FIXED: &[(&str, &str)] = &[
    ("default-runtime", "runc"),
    ("exec-opt", "native.cgroupdriver=cgroupfs"),
    ("experimental", "false"),
    ("firewall-backend", "nftables"),
    ("icc", "true"),
    ("ip-forward", "true"),
    ("ip-masq", "true"),
    ("ip6tables", "false"),
    ("iptables", "true"),
    ("ipv6", "false"),
    ("live-restore", "true"),
    ("seccomp-profile", "builtin"),
    ("selinux-enabled", "false"),
    ("userland-proxy", "false"),
];

/// What makes the machine a machine.
const OF_THE_MACHINE: &[&str] = &[
    "G",
    "H",
    "config-file",
    "containerd",
    "data-root",
    "exec-root",
    "g",
    "group",
    "host",
    "p",
    "pidfile",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
];

/// What dockerd could do as well.
const UNBUILT: &[&str] = &[
    "add-runtime",
    "allow-direct-routing",
    "allow-nondistributable-artifacts",
    "api-cors-header",
    "authorization-plugin",
    "b",
    "bip",
    "bip6",
    "bridge",
    "bridge-accept-fwmark",
    "cdi-spec-dir",
    "cluster-advertise",
    "cluster-store",
    "cluster-store-opt",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "default-address-pool",
    "default-gateway",
    "default-gateway-v6",
    "default-network-opt",
    "feature",
    "fixed-cidr",
    "fixed-cidr-v6",
    "init-path",
    "metrics-addr",
    "network-control-plane-mtu",
    "network-diagnostic-port",
    "node-generic-resource",
    "oom-score-adjust",
    "raw-logs",
    "storage-opt",
    "swarm-default-advertise-addr",
    "userland-proxy-path",
    "validate",
];

/// Applies `KEY=VALUE` or `KEY`, or says why not.
pub(super) fn apply(option: &str, chosen: &mut Chosen, lists: &mut Lists) -> Result<(), String> {
    let option = option.trim_start_matches('-');
    let (key, value) = match option.split_once('=') {
        Some((key, value)) => (key, value),
        // As for dockerd's flags: there without a value means yes.
        None => (option, "true"),
    };
    let containers = &mut chosen.settings.containers;
    let own = value.to_owned();
    match key {
        "D" | "debug" => {
            chosen.settings.debug = boolean(value)?;
            if chosen.settings.debug {
                chosen.level = chosen.level.max(LevelFilter::DEBUG);
            }
        }
        "l" | "log-level" => chosen.level = level(value)?,
        "mtu" => chosen.mtu = mtu(value)?,
        "shutdown-timeout" => chosen.grace_seconds = grace(value)?,
        "label" => lists.labels.push(own),
        "insecure-registry" => lists.insecure_registries.push(own),
        "registry-mirror" => lists.mirrors.push(own),
        "signature-policy" => lists.signature_policy = own,
        "s" | "storage-driver" => lists.storage_drivers.push(own),
        "http-proxy" => chosen.settings.proxies.http = own,
        "https-proxy" => chosen.settings.proxies.https = own,
        "max-concurrent-downloads" => chosen.settings.transfers.downloads = count(value)?,
        "max-concurrent-uploads" => chosen.settings.transfers.uploads = count(value)?,
        "max-download-attempts" => chosen.settings.transfers.attempts = count(value)?,
        "no-proxy" => chosen.settings.proxies.not_for = own,
        "log-driver" => containers.log.driver = own,
        "log-opt" => {
            let (name, value) = value.split_once('=').ok_or("it is not KEY=VALUE")?;
            containers.log.options.insert(name.to_owned(), value.to_owned());
        }
        "host-gateway-ip" => {
            containers.host_gateway = Some(value.parse().map_err(|_| "it is no IPv4 address")?);
        }
        "default-ulimit" => {
            let limit = ulimit(value)?;
            containers.ulimits.retain(|known| known.name != limit.name);
            containers.ulimits.push(limit);
        }
        "default-shm-size" => containers.shm_size = size(value).ok_or("it is no size")?,
        "default-ipc-mode" => containers.ipc_mode = one_of(value, &["private", "shareable"])?,
        "default-cgroupns-mode" => {
            containers.cgroupns_mode = one_of(value, &["private", "host"])?;
        }
        "init" => containers.init = boolean(value)?,
        "userns-remap" => {
            containers.userns_remap = match value {
                "" => false,
                "default" | "dockremap" => true,
                _ => return Err("it is always the user dockremap here".to_owned()),
            };
        }
        "cgroup-parent" => containers.cgroup_parent = own,
        "no-new-privileges" => containers.no_new_privileges = boolean(value)?,
        "dns" => containers.dns.push(address(value)?.to_string()),
        "dns-search" => containers.dns_search.push(word(value)?),
        "dns-opt" => containers.dns_options.push(word(value)?),
        "ip" => containers.publish_address = address(value)?.to_string(),
        _ => return other(key, value),
    }
    Ok(())
}

/// Takes back what no container's log could be.
pub(super) fn check_log(log: &mut LogConfig) -> Result<(), String> {
    ContainerDefaults::check_log(log).map_err(|error| {
        *log = LogConfig::default();
        error.to_string()
    })
}

fn other(key: &str, value: &str) -> Result<(), String> {
    if let Some((_, only)) = FIXED.iter().find(|(known, _)| *known == key) {
        let same = value == *only || (boolean(value).is_ok() && boolean(value) == boolean(only));
        return if same { Ok(()) } else { Err(format!("it is always {only} here")) };
    }
    Err(if OF_THE_MACHINE.contains(&key) {
        "the machine decides about it".to_owned()
    } else if UNBUILT.contains(&key) {
        "this engine cannot do it yet".to_owned()
    } else {
        "there is no such option".to_owned()
    })
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    Ok(match text {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" | "warning" => LevelFilter::WARN,
        "error" | "fatal" | "panic" => LevelFilter::ERROR,
        _ => return Err("it is none of debug, info, warn, error, fatal".to_owned()),
    })
}

/// 0 is dockerd's word for: as usual.
fn mtu(text: &str) -> Result<Option<u32>, String> {
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(bytes) if MTU.contains(&bytes) => Ok(Some(bytes)),
        _ => Err(format!("it is not between {} and {}", MTU.start(), MTU.end())),
    }
}

/// How many at a time; memory and connections are not without end.
fn count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=MOST_TRANSFERS).contains(number))
        .ok_or_else(|| format!("it is not between 1 and {MOST_TRANSFERS}"))
}

fn grace(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(seconds) if (0..=LONGEST_GRACE_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err(format!("it is not between 0 and {LONGEST_GRACE_SECONDS} seconds")),
    }
}

/// `NAME=SOFT[:HARD]`; -1 is no limit.
fn ulimit(text: &str) -> Result<Ulimit, String> {
    let form = || "it is not NAME=SOFT[:HARD]".to_owned();
    let (name, limits) = text.split_once('=').ok_or_else(form)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| text.parse().ok().filter(|number| *number >= -1).ok_or_else(form);
    let limit = Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? };
    ContainerDefaults::check_ulimit(&limit).map_err(|error| error.to_string())?;
    Ok(limit)
}

/// `64m`, `1g`, `65536`.
fn size(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    let number: i64 = text[..digits].parse().ok()?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "it is no IP address".to_owned())
}

/// Something that becomes a word in a line of a file.
fn word(text: &str) -> Result<String, String> {
    if text.is_empty()
        || text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    {
        return Err("it is not one word".to_owned());
    }
    Ok(text.to_owned())
}

fn one_of(text: &str, words: &[&str]) -> Result<String, String> {
    if words.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("it is none of {words:?}"))
    }
}
