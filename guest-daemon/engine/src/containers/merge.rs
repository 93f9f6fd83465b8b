//! What a new container is, from what was asked for and what its image says.

use std::collections::BTreeSet;

use crate::config::{ContainerConfig, HealthConfig, HostConfig};
use crate::error::{Error, Result};
use crate::ids;
use crate::settings::ContainerDefaults;

use super::security;

const DEFAULT_SHM: i64 = 64 << 20;

/// Fills in what the user left to the image.
pub(super) fn with_image(mut config: ContainerConfig, image: &ContainerConfig) -> ContainerConfig {
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    config.exposed_ports.extend(image.exposed_ports.iter().cloned());
    let named: BTreeSet<String> = config.env.iter().map(|entry| key(entry).to_owned()).collect();
    let from_image = image.env.iter().filter(|entry| !named.contains(key(entry)));
    config.env.extend(from_image.cloned());
    for (name, value) in &image.labels {
        config.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&image.cmd);
            config.args_escaped = image.args_escaped;
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    config.volumes.extend(image.volumes.iter().cloned());
    if config.stop_signal.is_none() {
        config.stop_signal.clone_from(&image.stop_signal);
    }
    if config.stop_timeout.is_none() {
        config.stop_timeout = image.stop_timeout;
    }
    config.healthcheck = health(config.healthcheck, image.healthcheck.as_ref());
    config
}

fn health(own: Option<HealthConfig>, image: Option<&HealthConfig>) -> Option<HealthConfig> {
    let Some(image) = image else { return own };
    let Some(mut own) = own else { return Some(image.clone()) };
    if own.test.is_empty() {
        own.test.clone_from(&image.test);
    }
    for (mine, theirs) in [
        (&mut own.interval, image.interval),
        (&mut own.timeout, image.timeout),
        (&mut own.start_period, image.start_period),
        (&mut own.start_interval, image.start_interval),
        (&mut own.retries, image.retries),
    ] {
        if *mine == 0 {
            *mine = theirs;
        }
    }
    Some(own)
}

/// Fills in what the engine was told to give every container.
pub(super) fn with_settings(defaults: &ContainerDefaults, host: &mut HostConfig) {
    if host.log_config.driver.is_empty() {
        host.log_config.driver = defaults.log_driver().to_owned();
    }
    let same_driver = host.log_config.driver == defaults.log_driver();
    for (option, value) in &defaults.log.options {
        // The cache is the same whatever the driver.
        if same_driver || option.starts_with("cache-") {
            host.log_config.options.entry(option.clone()).or_insert_with(|| value.clone());
        }
    }
    for limit in &defaults.ulimits {
        if !host.ulimits.iter().flatten().any(|own| own.name == limit.name) {
            host.ulimits.get_or_insert_default().push(limit.clone());
        }
    }
    if host.shm_size == 0 {
        host.shm_size = defaults.shm_size;
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode.clone_from(&defaults.ipc_mode);
    }
    if host.cgroupns_mode.is_empty() && !host.privileged {
        host.cgroupns_mode.clone_from(&defaults.cgroupns_mode);
    }
    let says = |option: &String| option.starts_with("no-new-privileges");
    if defaults.no_new_privileges && !host.security_opt.iter().flatten().any(says) {
        host.security_opt.get_or_insert_default().push("no-new-privileges".to_owned());
    }
}

/// Fills in what neither says.
pub(super) fn with_defaults(
    id: &str,
    machine: &str,
    config: &mut ContainerConfig,
    host: &mut HostConfig,
) {
    let shares_names = host.network_mode == "host" || host.uts_mode == "host";
    if config.hostname.is_empty() && !host.network_mode.starts_with("container:") {
        config.hostname = if shares_names { machine } else { ids::short(id) }.to_owned();
    }
    fn default(field: &mut String, value: &str) {
        if field.is_empty() {
            *field = value.to_owned();
        }
    }
    if matches!(host.network_mode.as_str(), "" | "default") {
        host.network_mode = "bridge".to_owned();
    }
    default(&mut host.log_config.driver, "json-file");
    default(&mut host.restart_policy.name, "no");
    default(&mut host.ipc_mode, "private");
    default(&mut host.cgroupns_mode, "private");
    default(&mut host.runtime, "runc");
    if host.shm_size == 0 {
        host.shm_size = DEFAULT_SHM;
    }
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if host.privileged {
        host.masked_paths = None;
        host.readonly_paths = None;
    } else {
        host.masked_paths.get_or_insert_with(security::masked_paths);
        host.readonly_paths.get_or_insert_with(security::readonly_paths);
    }
    let labelled = host.security_opt.iter().flatten().any(|option| option.starts_with("label"));
    if !labelled && (host.privileged || host.pid_mode == "host" || host.ipc_mode == "host") {
        host.security_opt.get_or_insert_default().push("label=disable".to_owned());
    }
    // What was only warned of.
    host.memory_swappiness = None;
    host.oom_kill_disable = None;
    host.cpu_percent = 0;
    host.cpu_count = 0;
}

/// The program and its arguments.
pub(super) fn command(config: &ContainerConfig) -> Result<(String, Vec<String>)> {
    let entrypoint = config.entrypoint.iter().flatten().filter(|_| {
        // An entrypoint of one empty string takes the image's away.
        config.entrypoint.as_deref() != Some(&[String::new()])
    });
    let mut words = entrypoint.chain(config.cmd.iter().flatten()).cloned();
    match words.next() {
        Some(path) if !path.is_empty() => Ok((path, words.collect())),
        _ => Err(Error::invalid("no command specified")),
    }
}

fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogConfig, Ulimit};

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn image() -> ContainerConfig {
        ContainerConfig {
            cmd: list(&["sh"]),
            env: vec!["PATH=/bin".into(), "A=image".into()],
            working_dir: "/srv".into(),
            ..ContainerConfig::default()
        }
    }

    #[test]
    fn the_image_fills_in_what_the_user_left_out() {
        let asked = ContainerConfig { env: vec!["A=user".into()], ..ContainerConfig::default() };
        let merged = with_image(asked, &image());
        assert_eq!(merged.env, ["A=user", "PATH=/bin"]);
        assert_eq!(merged.cmd, list(&["sh"]));
        assert_eq!(merged.working_dir, "/srv");
    }

    #[test]
    fn an_entrypoint_of_the_user_takes_the_images_command_away() {
        let with_entrypoint = ContainerConfig { entrypoint: list(&["/own"]), ..image() };
        let asked = ContainerConfig { entrypoint: list(&["cat"]), ..ContainerConfig::default() };
        let merged = with_image(asked, &with_entrypoint);
        assert_eq!(command(&merged).unwrap(), ("cat".to_owned(), vec![]));
        let asked = ContainerConfig { cmd: list(&["-x"]), ..ContainerConfig::default() };
        let merged = with_image(asked, &with_entrypoint);
        assert_eq!(command(&merged).unwrap(), ("/own".to_owned(), vec!["-x".to_owned()]));
    }

    #[test]
    fn an_empty_entrypoint_takes_the_images_away() {
        let with_entrypoint = ContainerConfig { entrypoint: list(&["/own"]), ..image() };
        let asked = ContainerConfig {
            entrypoint: list(&[""]),
            cmd: list(&["ls"]),
            ..ContainerConfig::default()
        };
        let merged = with_image(asked, &with_entrypoint);
        assert_eq!(command(&merged).unwrap(), ("ls".to_owned(), vec![]));
        let nothing = command(&ContainerConfig::default()).unwrap_err();
        assert_eq!(nothing.to_string(), "no command specified");
    }

    #[test]
    fn defaults_are_dockers() {
        let (mut config, mut host) = (ContainerConfig::default(), HostConfig::default());
        host.memory = 64 << 20;
        with_defaults("0123456789abcdef", "dev", &mut config, &mut host);
        assert_eq!(config.hostname, "0123456789ab");
        assert_eq!(host.network_mode, "bridge");
        assert_eq!(host.memory_swap, 128 << 20);
        assert_eq!(host.shm_size, 64 << 20);
        assert!(host.masked_paths.unwrap().contains(&"/proc/kcore".to_owned()));
    }
    #[test]
    fn what_a_container_says_itself_outweighs_the_engine_s_defaults() {
        let limit = |name: &str, soft| Ulimit { name: name.into(), soft, hard: 9 };
        let defaults = ContainerDefaults {
            log: LogConfig {
                driver: String::new(),
                options: [("max-size", "1m"), ("max-file", "2")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            },
            ulimits: vec![limit("nofile", 1), limit("nproc", 1)],
            shm_size: 5,
            no_new_privileges: true,
            ..ContainerDefaults::default()
        };
        let mut host = HostConfig::default();
        with_settings(&defaults, &mut host);
        assert_eq!(host.log_config.driver, "json-file");
        assert_eq!(host.log_config.options["max-size"], "1m");
        assert_eq!(host.shm_size, 5);
        assert_eq!(host.security_opt, list(&["no-new-privileges"]));

        let mut host = HostConfig {
            ulimits: Some(vec![limit("nofile", 7)]),
            security_opt: list(&["no-new-privileges=false"]),
            ..HostConfig::default()
        };
        host.log_config.options.insert("max-size".into(), "9m".into());
        with_settings(&defaults, &mut host);
        assert_eq!(host.log_config.options["max-size"], "9m");
        assert_eq!(host.log_config.options["max-file"], "2");
        assert_eq!(host.ulimits.unwrap(), [limit("nofile", 7), limit("nproc", 1)]);
        assert_eq!(host.security_opt, list(&["no-new-privileges=false"]));
    }

    #[test]
    fn another_log_driver_gets_none_of_the_default_one_s_options() {
        let mut defaults = ContainerDefaults::default();
        defaults.log.options.insert("max-size".into(), "1m".into());
        let mut host = HostConfig::default();
        host.log_config.driver = "none".into();
        with_settings(&defaults, &mut host);
        assert!(host.log_config.options.is_empty());
    }
}
