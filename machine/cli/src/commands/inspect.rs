//! `machine inspect`: everything about a machine, in docker-machine's shape where it had one.

use machine_lifecycle::{ADDRESS, Inspection};
use machine_store::SwarmRecord;
use serde_json::{Value, json};

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;
use crate::ssh::USER;
use crate::template::{Missing, Template, pretty};

/// Print everything about a machine, as JSON or with a Go template
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  machine inspect dev
  machine inspect --format '{{.Driver.IPAddress}}:{{.Driver.EnginePort}}' dev
  machine inspect --format '{{prettyjson .HostOptions.EngineOptions}}' dev")]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,

    /// Print with a Go template, which has the functions json and prettyjson, too
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    // Before anything is asked: a mistake is a mistake also when the machine is gone.
    let template = args.format.as_deref().filter(|format| !format.is_empty());
    let template = template.map(Template::parse).transpose().map_err(|error| {
        CommandError::usage(format!("template parsing error: {error}"))
            .hint("for example: --format '{{.Driver.IPAddress}}'")
    })?;
    let name = names::one(args.name.as_deref(), context)?;
    let inspection = context.machines.inspect(&name).await?;
    let json = json(&inspection);
    let text = match template {
        None => pretty(&json),
        Some(template) => template.render(&json, Missing::NoValue).map_err(|error| {
            CommandError::failed(error.to_string())
                .hint(format!("what there is: {} inspect {name}", context.program()))
        })?,
    };
    context.ui.result(&text);
    DONE
}

fn json(machine: &Inspection) -> Value {
    json!({
        "ConfigVersion": 3,
        "Driver": driver(machine),
        "DriverName": machine.record.driver,
        "HostOptions": {
            "Driver": "",
            "Memory": 0,
            "Disk": 0,
            "EngineOptions": engine(machine),
            "SwarmOptions": swarm(machine.record.swarm.as_ref()),
            "AuthOptions": authentication(machine),
        },
        "Name": machine.name.as_str(),
        "State": machine.state.to_string(),
    })
}

fn driver(machine: &Inspection) -> Value {
    let Inspection { name, record, paths, layout, .. } = machine;
    let elsewhere = record.url.as_deref().and_then(|url| {
        let (host, port) = url.strip_prefix("tcp://")?.rsplit_once(':')?;
        Some((host.trim_matches(['[', ']']), port.parse().ok()?))
    });
    let (host, port) = elsewhere.unwrap_or((ADDRESS, record.ports.api));
    let swarm = record.swarm.clone().unwrap_or_default();
    json!({
        "IPAddress": host,
        "MachineName": name.as_str(),
        "SSHUser": USER,
        "SSHPort": record.ports.ssh,
        "SSHKeyPath": paths.ssh_key(),
        "StorePath": layout.root(),
        "SwarmMaster": swarm.is_master,
        "SwarmHost": swarm.host,
        "SwarmDiscovery": swarm.discovery,
        "URL": record.url.clone().unwrap_or_else(|| format!("tcp://{host}:{port}")),
        "EnginePort": port,
        "CPU": record.cpus,
        "Memory": record.memory_mib,
        "DiskSize": record.disk_size_mib,
        "Acceleration": record.acceleration,
    })
}

fn engine(machine: &Inspection) -> Value {
    let engine = &machine.record.engine;
    json!({
        "ArbitraryFlags": engine.options,
        "Dns": null,
        "GraphDir": "",
        "Env": engine.env,
        "Ipv6": false,
        "InsecureRegistry": engine.insecure_registries,
        "Labels": engine.labels,
        "LogLevel": "",
        "StorageDriver": engine.storage_driver.as_deref().unwrap_or("overlay2"),
        "SelinuxEnabled": false,
        "TlsVerify": true,
        "RegistryMirror": engine.registry_mirrors,
        "InstallURL": engine.install_url.as_deref().unwrap_or_default(),
    })
}

fn swarm(swarm: Option<&SwarmRecord>) -> Value {
    let is_swarm = swarm.is_some();
    let swarm = swarm.cloned().unwrap_or_default();
    json!({
        "IsSwarm": is_swarm,
        "Address": swarm.address,
        "Discovery": swarm.discovery,
        "Agent": is_swarm,
        "Master": swarm.is_master,
        "Host": swarm.host,
        "Image": swarm.image,
        "Strategy": swarm.strategy,
        "Heartbeat": 0,
        "Overcommit": 0,
        "ArbitraryFlags": swarm.options,
        "ArbitraryJoinFlags": swarm.join_options,
        "Env": null,
        "IsExperimental": swarm.experimental,
    })
}

fn authentication(machine: &Inspection) -> Value {
    let Inspection { record, paths, layout, .. } = machine;
    json!({
        "CertDir": layout.authority_certificate().parent(),
        "CaCertPath": layout.authority_certificate(),
        "CaPrivateKeyPath": layout.authority_key(),
        "CaCertRemotePath": "",
        "ServerCertPath": paths.server_certificate(),
        "ServerKeyPath": paths.server_key(),
        "ClientKeyPath": paths.client_key(),
        "ServerCertRemotePath": "",
        "ServerKeyRemotePath": "",
        "ClientCertPath": paths.client_certificate(),
        "ServerCertSANs": record.tls_names,
        "StorePath": paths.directory(),
    })
}
