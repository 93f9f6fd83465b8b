//! From the boot contract's engine options to what the engine does. What cannot be had is told in
//! warnings, never passed over.

mod dockerd;
mod registries;

use boot::EngineOptions;
use engine::settings::{Proxies, Settings};
use guest_init::environment;
use tracing_subscriber::filter::LevelFilter;

/// How long containers may take to end before they are killed, when the machine ends.
const GRACE_SECONDS: i64 = 10;
/// The one storage driver.
const STORAGE_DRIVER: &str = "overlay2";

/// All that follows from the engine options.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) settings: Settings,
    pub(crate) level: LevelFilter,
    /// Of the bridge and the containers' links.
    pub(crate) mtu: Option<u32>,
    pub(crate) grace_seconds: i64,
}

impl Default for Chosen {
    fn default() -> Self {
        Chosen {
            settings: Settings::default(),
            level: LevelFilter::INFO,
            mtu: None,
            grace_seconds: GRACE_SECONDS,
        }
    }
}

/// Options that can be given more than once and in more than one place.
#[derive(Debug, Default)]
struct Lists {
    labels: Vec<String>,
    insecure_registries: Vec<String>,
    mirrors: Vec<String>,
    storage_drivers: Vec<String>,
    signature_policy: String,
}

/// `variable` looks into the daemon's environment.
pub(crate) fn choose(options: &EngineOptions, variable: impl Fn(&str) -> Option<String>) -> Chosen {
    let mut chosen = Chosen::default();
    let mut lists = Lists {
        labels: options.labels.clone(),
        insecure_registries: options.insecure_registries.clone(),
        mirrors: options.registry_mirrors.clone(),
        storage_drivers: options.storage_driver.iter().cloned().collect(),
        signature_policy: String::new(),
    };
    let refused = environment::variables(&options.env).1;
    let mut warnings: Vec<String> = refused
        .into_iter()
        .map(|reason| format!("a variable of the engine's environment is left out: {reason}"))
        .collect();
    for option in &options.options {
        if let Err(reason) = dockerd::apply(option, &mut chosen, &mut lists) {
            let option = option.trim_start_matches('-');
            warnings.push(format!("--{option} is not honoured: {reason}"));
        }
    }
    let checked = dockerd::check_log(&mut chosen.settings.containers.log);
    warnings.extend(checked.err().map(|reason| format!("containers log as usual: {reason}")));
    for driver in lists.storage_drivers {
        if driver != STORAGE_DRIVER {
            warnings.push(format!(
                "the storage driver {driver} is not honoured: there is only {STORAGE_DRIVER}"
            ));
        }
    }
    chosen.settings.labels = labels(&lists.labels, &mut warnings);
    chosen.settings.registries =
        registries::choose(&lists.insecure_registries, &lists.mirrors, &mut warnings);
    chosen.settings.registries.signature_policy = lists.signature_policy;
    fill_proxies(&mut chosen.settings.proxies, variable);
    chosen.settings.warnings = warnings;
    chosen
}

/// Each label once; of two with one key the last.
fn labels(given: &[String], warnings: &mut Vec<String>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in given {
        let Some((key, _)) = label.split_once('=').filter(|(key, _)| !key.trim().is_empty()) else {
            warnings.push(format!("the label {label:?} is left out: it is not KEY=VALUE"));
            continue;
        };
        let same_key =
            |known: &String| known.split_once('=').is_some_and(|(other, _)| other == key);
        if let Some(at) = labels.iter().position(same_key) {
            let old = labels.remove(at);
            if old != *label {
                warnings.push(format!("the label {old:?} is left out: {label:?} comes after it"));
            }
        }
        labels.push(label.clone());
    }
    labels
}

/// What the options do not say, the environment may.
fn fill_proxies(proxies: &mut Proxies, variable: impl Fn(&str) -> Option<String>) {
    for (field, upper, lower) in [
        (&mut proxies.http, "HTTP_PROXY", "http_proxy"),
        (&mut proxies.https, "HTTPS_PROXY", "https_proxy"),
        (&mut proxies.not_for, "NO_PROXY", "no_proxy"),
    ] {
        if field.is_empty() {
            let found = [upper, lower].into_iter().filter_map(&variable);
            *field = found.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
