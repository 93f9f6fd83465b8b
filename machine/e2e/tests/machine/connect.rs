//! How clients find a machine, and who is let in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Machine, Run, eventually};
use serde_json::Value;

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("ls_shows_it_running", ls),
    ("url_ip_and_status_agree", url),
    ("env_speaks_every_shell", env),
    ("inspect_is_json_without_secrets", inspect),
    ("keys_are_private", keys),
    ("the_certificate_chain_is_sound", chain),
    ("plain_http_is_told_so", plain_http),
    ("a_client_without_a_certificate_is_refused", no_certificate),
    ("a_client_of_another_ca_is_refused", other_ca),
    ("only_loopback_listens_on_the_host", loopback),
    ("logs_show_the_console", logs),
    ("active_is_the_one_that_docker_uses", active),
    ("the_guests_clock_is_the_hosts", clock),
    ("the_socket_in_the_guest_is_for_its_group", socket),
    ("a_taken_name_is_refused_and_the_machine_stays", taken),
];

fn text(on: &Machine, words: &[&str]) -> Result<String> {
    on.host.machine().args(words).run()?.text()
}

fn ls(on: &Machine) -> Result<()> {
    let table = text(on, &["ls"])?;
    let mut lines = table.lines();
    ensure!(
        lines.next().is_some_and(|head| head.starts_with("NAME   ACTIVE   DRIVER   STATE")),
        "{table}"
    );
    let row = lines.next().context("no row")?;
    ensure!(
        row.contains("qemu") && row.contains("Running") && row.contains("tcp://127.0.0.1:"),
        "{table}"
    );
    ensure!(text(on, &["ls", "-q"])? == "dev");
    Ok(())
}

fn url(on: &Machine) -> Result<()> {
    let url = text(on, &["url", "dev"])?;
    ensure!(url == on.variable("DOCKER_HOST")? && url.starts_with("tcp://127.0.0.1:"), "{url}");
    ensure!(text(on, &["ip", "dev"])? == "127.0.0.1");
    ensure!(text(on, &["status", "dev"])? == "Running");
    Ok(())
}

fn env(on: &Machine) -> Result<()> {
    let url = text(on, &["url", "dev"])?;
    for (shell, line) in [
        ("bash", format!("export DOCKER_HOST=\"{url}\"")),
        ("fish", format!("set -gx DOCKER_HOST \"{url}\";")),
        ("powershell", format!("$Env:DOCKER_HOST = \"{url}\"")),
        ("cmd", format!("SET DOCKER_HOST={url}")),
        ("tcsh", format!("setenv DOCKER_HOST \"{url}\";")),
        ("emacs", format!("(setenv \"DOCKER_HOST\" \"{url}\")")),
    ] {
        let lines = text(on, &["env", "--shell", shell, "dev"])?;
        ensure!(lines.lines().any(|printed| printed == line), "{shell}: {lines}");
        ensure!(
            lines.contains("DOCKER_TLS_VERIFY") && lines.contains("DOCKER_CERT_PATH"),
            "{lines}"
        );
    }
    let unknown = on.host.machine().args(["env", "--shell", "abacus", "dev"]).run()?;
    ensure!(unknown.code != 0 && unknown.stdout.is_empty(), "{unknown}");
    let unset = text(on, &["env", "--shell", "sh", "--unset"])?;
    ensure!(unset.contains("unset DOCKER_HOST"), "{unset}");
    let bare = on.host.machine().env_remove("SHELL").args(["env", "dev"]).run()?;
    ensure!(bare.text()?.contains("export DOCKER_HOST"), "{bare}");
    Ok(())
}

fn inspect(on: &Machine) -> Result<()> {
    let shown = text(on, &["inspect", "dev"])?;
    serde_json::from_str::<Value>(&shown)?;
    ensure!(!shown.contains("PRIVATE KEY"), "{shown}");
    Ok(())
}

fn keys(on: &Machine) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    ensure!(on.directory().metadata()?.permissions().mode() & 0o777 == 0o700);
    for entry in std::fs::read_dir(on.directory())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        let secret = name.contains("key") && !name.ends_with(".pub")
            || name.starts_with("id_") && !name.ends_with(".pub");
        ensure!(!secret || mode == 0o600, "{name} has mode {mode:o}");
    }
    Ok(())
}

fn chain(on: &Machine) -> Result<()> {
    let directory = on.directory();
    let ca = directory.join("ca.pem");
    for leaf in ["cert.pem", "server.pem"] {
        let verified = Command::new("openssl")
            .args(["verify", "-x509_strict", "-CAfile"])
            .arg(&ca)
            .arg(directory.join(leaf))
            .run()?;
        verified.ok()?;
    }
    Ok(())
}

fn address(on: &Machine) -> Result<String> {
    Ok(on.variable("DOCKER_HOST")?.trim_start_matches("tcp://").to_owned())
}

fn plain_http(on: &Machine) -> Result<()> {
    let mut stream = TcpStream::connect(address(on)?)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.0 400 Bad Request"), "{answer}");
    ensure!(answer.contains("Client sent an HTTP request to an HTTPS server"), "{answer}");
    Ok(())
}

fn no_certificate(on: &Machine) -> Result<()> {
    let directory = on.directory();
    let ca = format!("--tlscacert={}", directory.join("ca.pem").display());
    let empty = tempfile::tempdir()?;
    let mut docker = on.docker(["--tlsverify", &ca, "version"]);
    let asked =
        docker.env("DOCKER_CERT_PATH", empty.path()).env_remove("DOCKER_TLS_VERIFY").run()?;
    ensure!(asked.code != 0 && !asked.stdout.contains("Server:"), "{asked}");
    ensure!(asked.stderr.contains("certificate"), "{asked}");
    Ok(())
}

fn other_ca(on: &Machine) -> Result<()> {
    let stranger = tempfile::tempdir()?;
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", "/CN=stranger", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(stranger.path())
        .run()?;
    made.ok()?;
    std::fs::copy(on.directory().join("ca.pem"), stranger.path().join("ca.pem"))?;
    let mut docker = on.docker(["version"]);
    let asked = docker.env("DOCKER_CERT_PATH", stranger.path()).run()?;
    ensure!(asked.code != 0 && !asked.stdout.contains("Server:"), "{asked}");
    Ok(())
}

fn loopback(on: &Machine) -> Result<()> {
    let port = address(on)?.rsplit(':').next().context("no port")?.parse::<u16>()?;
    let sockets = std::fs::read_to_string("/proc/net/tcp")?;
    let wanted = format!(":{port:04X}");
    let listening: Vec<&str> = sockets
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|local| local.ends_with(&wanted))
        .collect();
    ensure!(listening.contains(&format!("0100007F{wanted}").as_str()), "{listening:?}");
    ensure!(!listening.iter().any(|local| local.starts_with("00000000")), "{listening:?}");
    Ok(())
}

fn logs(on: &Machine) -> Result<()> {
    ensure!(!text(on, &["logs", "dev"])?.is_empty());
    Ok(())
}

fn taken(on: &Machine) -> Result<()> {
    let second = on.host.machine().args(["create", "dev"]).run()?;
    ensure!(second.code != 0, "{second}");
    second.says("already exists")?;
    ensure!(text(on, &["status", "dev"])? == "Running");
    Ok(())
}

fn active(on: &Machine) -> Result<()> {
    let url = on.variable("DOCKER_HOST")?;
    let active = on.host.machine().arg("active").env("DOCKER_HOST", url).run()?;
    ensure!(active.text()? == "dev", "{active}");
    on.host.machine().arg("active").run()?.code(1)?.says("No active host found").map(drop)
}

fn clock(on: &Machine) -> Result<()> {
    eventually("the guest's clock is within a second of the host's", || {
        let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let guest: u64 = on.ssh(["date", "+%s"]).run()?.text()?.parse()?;
        let after = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(before <= guest + 1 && guest <= after + 1)
    })
}

fn socket(on: &Machine) -> Result<()> {
    let mode = on.ssh(["stat", "-c", "'%a %U %G %F'", "/var/run/docker.sock"]).run()?.text()?;
    ensure!(mode == "660 root docker socket", "{mode}");
    Ok(())
}
