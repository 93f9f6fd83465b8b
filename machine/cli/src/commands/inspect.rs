//! `machine inspect`: everything about a machine, in docker-machine's shape where it had one.

use machine_lifecycle::{ADDRESS, Inspection};
use serde::Serialize as _;
use serde_json::{Value, json};

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;
use crate::ssh::USER;

/// Print information about a machine as JSON
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let inspection = context.machines.inspect(&name).await?;
    let text = indented(&json(&inspection))
        .map_err(|error| CommandError::failed("no JSON could be made").because(&error))?;
    context.ui.result(&text);
    DONE
}

fn json(machine: &Inspection) -> Value {
    let Inspection { name, state, record, paths, layout } = machine;
    let name = name.as_str();
    json!({
        "ConfigVersion": 3,
        "Driver": {
            "IPAddress": ADDRESS,
            "MachineName": name,
            "SSHUser": USER,
            "SSHPort": record.ports.ssh,
            "SSHKeyPath": paths.ssh_key(),
            "StorePath": layout.root(),
            "EnginePort": record.ports.api,
            "CPU": record.cpus,
            "Memory": record.memory_mib,
            "DiskSize": record.disk_size_mib,
            "Acceleration": record.acceleration,
        },
        "DriverName": record.driver,
        "HostOptions": {
            "EngineOptions": {
                "Labels": record.engine_labels,
                "StorageDriver": "overlay2",
                "TlsVerify": true,
            },
            "AuthOptions": {
                "CertDir": layout.authority_certificate().parent(),
                "CaCertPath": layout.authority_certificate(),
                "CaPrivateKeyPath": layout.authority_key(),
                "ServerCertPath": paths.server_certificate(),
                "ServerKeyPath": paths.server_key(),
                "ClientCertPath": paths.client_certificate(),
                "ClientKeyPath": paths.client_key(),
                "ServerCertSANs": record.tls_names,
                "StorePath": paths.directory(),
            },
        },
        "Name": name,
        "State": state.to_string(),
    })
}

fn indented(value: &Value) -> Result<String, serde_json::Error> {
    let mut text = Vec::new();
    let four_blanks = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, four_blanks))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
