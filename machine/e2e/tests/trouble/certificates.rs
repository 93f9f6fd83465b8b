//! A registry's certificate, put where dockerd looks for it, as Docker's manual tells.

use anyhow::Result;
use machine_e2e::registry::{Registry, tunnel_at};
use machine_e2e::{Check, Machine, Run, archive};

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("a_certificate_of_a_registry_outlives_a_restart", kept)];

/// Of the guest alone (RFC 5737). Registries on the loopback address need no certificate.
const ADDRESS: &str = "192.0.2.1";

fn kept(on: &Machine) -> Result<()> {
    let registry = Registry::encrypted(ADDRESS)?;
    let host = format!("{ADDRESS}:{}", registry.port());
    let name = format!("{host}/kept:1");
    let root = archive::busybox_root()?;
    on.docker(["import", "-", &name]).run_with(&root)?.ok()?;
    let way = reach(on, &registry)?;
    let refused = on.docker(["push", &name]).run()?;
    refused.code(1)?.says(&format!(
        "Get \"https://{host}/v2/\": tls: failed to verify certificate: x509: certificate signed \
         by unknown authority"
    ))?;
    let folder = format!("/etc/docker/certs.d/{host}");
    on.ssh(["mkdir", "-p", &folder]).run()?.ok()?;
    let place = format!("{}:{folder}/ca.crt", on.name);
    on.host.machine().arg("scp").arg(registry.certificate()).arg(place).run()?.ok()?;
    on.docker(["push", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    drop(way);

    on.host.machine().args(["restart", &on.name]).run()?.ok()?;
    let _way = reach(on, &registry)?;
    on.docker(["pull", &name]).run()?.ok()?;
    on.docker(["rmi", &name]).run()?.ok()?;
    on.ssh(["rm", "-r", &folder]).run()?.ok()
}

fn reach(on: &Machine, registry: &Registry) -> Result<machine_e2e::registry::Tunnel> {
    on.ssh(["ip", "addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"]).run()?.ok()?;
    tunnel_at(on, ADDRESS, registry.port(), registry.port())
}
