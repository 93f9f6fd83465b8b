//! Docker's seccomp profiles, and what of them holds for a container, as OCI's `linux.seccomp`.
//!
//! A profile's rules may depend on the container's capabilities, the processor and the kernel; the
//! OCI form has none of that.

pub(crate) mod filter;

use serde::Deserialize;
use serde_json::{Value, json};

/// Docker's default profile: an allow list. What it leaves out on purpose is AF_ALG and AF_VSOCK
/// sockets, new namespaces, keyrings, modules, io_uring.
const DEFAULT_PROFILE: &str = include_str!("../data/seccomp.json");

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    #[error("decoding seccomp profile failed")]
    Malformed(#[source] serde_json::Error),
    #[error("both 'architectures' and 'archMap' are specified in the seccomp profile")]
    TwoArchitectures,
    #[error("use either 'name' or 'names' in a seccomp rule")]
    Names,
    #[error("unknown {0} in the seccomp profile: {1}")]
    Unknown(&'static str, String),
    #[error("the seccomp profile cannot be used")]
    Refused(#[source] libseccomp::error::SeccompError),
    #[error("the seccomp filter cannot be kept")]
    Export(#[source] std::io::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    arch_map: Vec<ArchMap>,
    #[serde(default, deserialize_with = "null_is_empty")]
    architectures: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    flags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    sub_architectures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default, deserialize_with = "null_is_empty")]
    names: Vec<String>,
    #[serde(default)]
    name: String,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    args: Vec<Argument>,
    #[serde(default, deserialize_with = "null_is_empty")]
    includes: Filter,
    #[serde(default, deserialize_with = "null_is_empty")]
    excludes: Filter,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default, deserialize_with = "null_is_empty")]
    caps: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    arches: Vec<String>,
    #[serde(default)]
    min_kernel: Option<String>,
}

fn null_is_empty<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The machine a profile is resolved for.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// As OCI names it.
    architecture: &'static str,
    /// As Go names it, which is how profiles do.
    go_name: &'static str,
    kernel: (u32, u32),
}

impl Machine {
    /// This one.
    pub(crate) fn current() -> Self {
        let kernel = rustix::system::uname();
        let kernel = version(&kernel.release().to_string_lossy()).unwrap_or((6, 12));
        let (architecture, go_name) = if cfg!(target_arch = "aarch64") {
            ("SCMP_ARCH_AARCH64", "arm64")
        } else {
            ("SCMP_ARCH_X86_64", "amd64")
        };
        Self { architecture, go_name, kernel }
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Docker's default profile for these capabilities.
pub(crate) fn default_profile(
    capabilities: &[String],
    machine: &Machine,
) -> Result<Value, ProfileError> {
    custom_profile(DEFAULT_PROFILE, capabilities, machine)
}

/// A profile in Docker's JSON form for these capabilities.
pub(crate) fn custom_profile(
    text: &str,
    capabilities: &[String],
    machine: &Machine,
) -> Result<Value, ProfileError> {
    let profile: Profile = serde_json::from_str(text).map_err(ProfileError::Malformed)?;
    if !profile.arch_map.is_empty() && !profile.architectures.is_empty() {
        return Err(ProfileError::TwoArchitectures);
    }
    let mut architectures = profile.architectures;
    for map in profile.arch_map {
        if map.architecture == machine.architecture {
            architectures.push(map.architecture);
            architectures.extend(map.sub_architectures);
        }
    }
    let mut syscalls = Vec::new();
    for rule in profile.syscalls {
        if applies(&rule.includes, &rule.excludes, capabilities, machine) {
            syscalls.push(oci_rule(rule)?);
        }
    }
    let mut seccomp = json!({
        "defaultAction": profile.default_action,
        "architectures": architectures,
        "flags": profile.flags,
        "syscalls": syscalls,
    });
    if let Some(errno) = profile.default_errno_ret {
        seccomp["defaultErrnoRet"] = json!(errno);
    }
    Ok(seccomp)
}

fn applies(
    includes: &Filter,
    excludes: &Filter,
    capabilities: &[String],
    machine: &Machine,
) -> bool {
    let has = |name: &String| capabilities.contains(name);
    let is = |name: &String| name == machine.go_name;
    let at_least = |wanted: &String| version(wanted).is_some_and(|wanted| machine.kernel >= wanted);
    if excludes.caps.iter().any(has) || excludes.arches.iter().any(is) {
        return false;
    }
    if excludes.min_kernel.as_ref().is_some_and(at_least) {
        return false;
    }
    includes.caps.iter().all(has)
        && (includes.arches.is_empty() || includes.arches.iter().any(is))
        && includes.min_kernel.as_ref().is_none_or(at_least)
}

fn oci_rule(rule: Rule) -> Result<Value, ProfileError> {
    let names = match (rule.name.is_empty(), rule.names.is_empty()) {
        (true, false) => rule.names,
        (false, true) => vec![rule.name],
        _ => return Err(ProfileError::Names),
    };
    let mut value = json!({ "names": names, "action": rule.action });
    if let Some(errno) = rule.errno_ret {
        value["errnoRet"] = json!(errno);
    }
    if !rule.args.is_empty() {
        value["args"] = rule.args.iter().map(oci_argument).collect();
    }
    Ok(value)
}

fn oci_argument(argument: &Argument) -> Value {
    let Argument { index, value, value_two, op } = argument;
    json!({ "index": index, "value": value, "valueTwo": value_two, "op": op })
}

#[cfg(test)]
mod tests;
