//! `Config`, both ways.

use std::collections::{BTreeMap, BTreeSet};

use engine::config::{ContainerConfig, HealthConfig};
use engine_api::Empty;
use engine_api::container_config as api;
use engine_api::string_list::StringList;

pub(crate) fn from_api(config: api::ContainerConfig) -> ContainerConfig {
    ContainerConfig {
        hostname: config.hostname,
        domainname: config.domainname,
        user: config.user,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: names(config.exposed_ports),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env.unwrap_or_default(),
        cmd: config.cmd.map(|list| list.0),
        healthcheck: config.healthcheck.map(|health| HealthConfig {
            test: health.test.unwrap_or_default(),
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }),
        args_escaped: config.args_escaped,
        image: config.image,
        volumes: names(config.volumes),
        working_dir: config.working_dir,
        entrypoint: config.entrypoint.map(|list| list.0),
        network_disabled: config.network_disabled,
        on_build: config.on_build,
        labels: config.labels.unwrap_or_default(),
        stop_signal: Some(config.stop_signal).filter(|signal| !signal.is_empty()),
        stop_timeout: config.stop_timeout,
        shell: config.shell.map(|list| list.0),
    }
}

pub(crate) fn to_api(config: &ContainerConfig) -> api::ContainerConfig {
    api::ContainerConfig {
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        user: config.user.clone(),
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: set(&config.exposed_ports),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: Some(config.env.clone()).filter(|env| !env.is_empty()),
        cmd: config.cmd.clone().map(StringList),
        healthcheck: config.healthcheck.as_ref().map(health_to_api),
        args_escaped: config.args_escaped,
        image: config.image.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        entrypoint: config.entrypoint.clone().map(StringList),
        network_disabled: config.network_disabled,
        mac_address: String::new(),
        on_build: config.on_build.clone(),
        labels: Some(config.labels.clone()),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.clone().map(StringList),
    }
}

pub(crate) fn health_to_api(health: &HealthConfig) -> api::HealthConfig {
    api::HealthConfig {
        test: Some(health.test.clone()),
        interval: health.interval,
        timeout: health.timeout,
        start_period: health.start_period,
        start_interval: health.start_interval,
        retries: health.retries,
    }
}

/// `null` when there is nothing in it.
pub(crate) fn set(names: &BTreeSet<String>) -> Option<BTreeMap<String, Empty>> {
    let set: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), Empty {})).collect();
    Some(set).filter(|set| !set.is_empty())
}

fn names(set: Option<BTreeMap<String, Empty>>) -> BTreeSet<String> {
    set.unwrap_or_default().into_keys().collect()
}
