//! Engine options that reach the daemon.

use std::io::Write;
use std::net::TcpListener;

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
    "--engine-opt",
    "userns-remap=default",
    "--engine-opt",
    "init=true",
    "--engine-opt",
    "host-gateway-ip=10.0.2.2",
    "--engine-opt",
    "signature-policy=/etc/docker/policy.json",
    "--tls-san",
    "dev.example",
];

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("engine_options_show_in_docker_info", info),
    ("the_certificate_has_the_names_asked_for", san),
    ("inspect_has_what_was_asked_for", inspect),
    ("users_of_containers_are_others_in_the_machine", users),
    ("every_container_gets_an_init", init),
    ("containers_reach_the_laptop_when_asked", laptop),
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

fn users(on: &Machine) -> Result<()> {
    let run = |flags: &[&str], script: &str| {
        let words = [&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat();
        on.docker(words).run()?.text()
    };
    let options = on.docker(["info", "-f", "{{.SecurityOptions}}"]).run()?.text()?;
    ensure!(options.contains("name=userns"), "{options}");
    let map = run(&["-v", "owned:/v"], "cat /proc/self/uid_map; id -u; echo mine >/v/file")?;
    let words: Vec<&str> = map.split_whitespace().collect();
    ensure!(words == ["0", "100000", "65536", "0"], "{map}");
    let own = run(
        &["--userns", "host", "-v", "owned:/v"],
        "cat /v/file /proc/self/uid_map; stat -c %u /v/file",
    )?;
    ensure!(
        own.starts_with("mine\n") && own.contains("4294967295") && own.ends_with("\n0"),
        "{own}"
    );
    // What is the machine's stays the machine's.
    let harm = run(&["-v", "/run:/guest"], "echo x 2>/dev/null >/guest/harm || echo refused")?;
    ensure!(harm == "refused", "{harm}");
    let refused = on.docker(["run", "--rm", "--privileged", "busybox"]).run()?;
    refused.says("privileged mode is incompatible with user namespaces")?;
    let words = ["run", "-d", "--name", "mapped", "-u", "1000", "busybox", "sleep", "1000"];
    on.docker(words).run()?.ok()?;
    let seen = on.docker(["exec", "mapped", "id", "-u"]).run()?.text()?;
    ensure!(seen == "1000", "{seen}");
    on.docker(["rm", "-f", "mapped"]).run()?.ok()?;
    on.docker(["volume", "rm", "owned"]).run()?.ok()
}

fn init(on: &Machine) -> Result<()> {
    let first = on.docker(["run", "--rm", "busybox", "cat", "/proc/1/cmdline"]).run()?.text()?;
    ensure!(first.starts_with("/sbin/docker-init\0--\0cat\0"), "{first:?}");
    Ok(())
}

fn laptop(on: &Machine) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port().to_string();
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        Ok(stream.write_all(b"from the laptop\n")?)
    });
    let words =
        ["run", "--rm", "--add-host", "laptop:host-gateway", "busybox", "nc", "laptop", &port];
    let seen = on.docker(words).run()?.text()?;
    ensure!(seen == "from the laptop", "{seen}");
    server.join().unwrap_or(Ok(()))
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
