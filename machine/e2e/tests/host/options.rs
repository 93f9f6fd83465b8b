//! Engine options that reach the daemon.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Machine, Run};
use serde_json::Value;

/// With what the machine of this suite is created.
pub(crate) const FLAGS: &[&str] = &[
    "--cpu-count",
    "1",
    "--memory",
    "768",
    "--accel",
    "tcg",
    "--engine-label",
    "colour=red",
    "--engine-env",
    "HTTPS_PROXY=http://proxy.example:3128",
    "--engine-insecure-registry",
    "registry.example:5000",
    "--engine-registry-mirror",
    "https://mirror.example",
    "--engine-storage-driver",
    "overlay2",
    "--engine-opt",
    "log-level=warn",
    "--tls-san",
    "dev.example",
];

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("engine_options_show_in_docker_info", info),
    ("the_certificate_has_the_names_asked_for", san),
    ("inspect_has_what_was_asked_for", inspect),
];

fn info(on: &Machine) -> Result<()> {
    let info = on.docker(["info", "--format", "{{json .}}"]).run()?.text()?;
    let info: Value = serde_json::from_str(&info)?;
    let labels = info["Labels"].to_string();
    ensure!(labels.contains("colour=red") && labels.contains("provider=qemu"), "{labels}");
    ensure!(info["HttpsProxy"] == "http://proxy.example:3128", "{}", info["HttpsProxy"]);
    let registries = &info["RegistryConfig"];
    let insecure = &registries["IndexConfigs"]["registry.example:5000"]["Secure"];
    ensure!(*insecure == false, "{registries}");
    ensure!(registries["Mirrors"].to_string().contains("https://mirror.example"), "{registries}");
    ensure!(info["Driver"] == "overlay2", "{}", info["Driver"]);
    Ok(())
}

fn san(on: &Machine) -> Result<()> {
    let port = on.variable("DOCKER_HOST")?.rsplit(':').next().unwrap_or_default().to_owned();
    let host = format!("tcp://dev.example:{port}");
    // The name leads nowhere; that the certificate has it is what counts.
    let asked = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-checkhost", "dev.example", "-in"])
        .arg(on.directory().join("server.pem"))
        .run()?;
    ensure!(asked.stdout.contains("does match"), "{host}: {asked}");
    Ok(())
}

fn inspect(on: &Machine) -> Result<()> {
    let words = ["inspect", "-f", "{{json .HostOptions.EngineOptions}}", "dev"];
    let options = on.host.machine().args(words).run()?.text()?;
    let options: Value = serde_json::from_str(&options)?;
    ensure!(options["Labels"][0] == "colour=red", "{options}");
    ensure!(options["RegistryMirror"][0] == "https://mirror.example", "{options}");
    Ok(())
}
