//! Certificates that look after themselves.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Machine, Run};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("certs_shows_what_ends_when", shown),
    ("new_certificates_are_taken_while_streams_go_on", regenerated),
    ("a_new_ca_is_taken_too", new_authority),
    ("env_renews_what_is_due", renewed),
    ("a_viewer_looks_but_changes_nothing", viewer),
];

fn shown(on: &Machine) -> Result<()> {
    let table = on.host.machine().args(["certs", "dev"]).run()?.text()?;
    ensure!(table.contains("server") && table.contains("client"), "{table}");
    let json = on.host.machine().args(["certs", "-o", "json", "dev"]).run()?.text()?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(json.as_array().is_some_and(|rows| rows.len() >= 3), "{json}");
    Ok(())
}

/// A `docker logs -f` that is open while `change` happens, and goes on afterwards.
fn with_an_open_stream(on: &Machine, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let script = "while read line; do echo \"$line\"; done";
    let words = ["run", "-d", "-i", "--name", "talks", "busybox", "sh", "-c", script];
    on.docker(words).run()?.ok()?;
    let mut attached = on.docker(["attach", "--sig-proxy=false", "talks"]);
    let mut attached =
        attached.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = attached.stdin.take().context("no input")?;
    let mut output = BufReader::new(attached.stdout.take().context("no output")?).lines();
    let mut say = |word: &str| -> Result<()> {
        use std::io::Write;
        writeln!(input, "{word}")?;
        let heard = output.next().context("the stream has ended")??;
        ensure!(heard == word, "{heard}");
        Ok(())
    };
    say("before")?;
    change()?;
    say("after")?;
    on.docker(["rm", "-f", "talks"]).run()?.ok()?;
    drop(input);
    machine_e2e::command::wait(&mut attached, "docker attach").map(drop)
}

fn serial(on: &Machine, file: &str) -> Result<String> {
    let path = on.directory().join(file);
    Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(path).run()?.text()
}

/// The serial number of the certificate that the running server shows.
fn served(on: &Machine) -> Result<String> {
    let address = on.variable("DOCKER_HOST")?.trim_start_matches("tcp://").to_owned();
    let script = "openssl s_client -connect \"$0\" </dev/null 2>/dev/null \
                  | openssl x509 -noout -serial";
    Command::new("sh").args(["-c", script, &address]).run()?.text()
}

fn regenerated(on: &Machine) -> Result<()> {
    let before = served(on)?;
    with_an_open_stream(on, || {
        on.host.machine().args(["regenerate-certs", "-f", "dev"]).run()?.ok()?;
        ensure!(served(on)? != before, "the server shows its old certificate");
        ensure!(served(on)? == serial(on, "server.pem")?);
        on.docker(["version"]).run()?.ok()
    })
}

fn new_authority(on: &Machine) -> Result<()> {
    let before = serial(on, "ca.pem")?;
    with_an_open_stream(on, || {
        on.host.machine().args(["regenerate-certs", "-f", "--ca", "dev"]).run()?.ok()?;
        ensure!(serial(on, "ca.pem")? != before, "the CA is the old one");
        on.docker(["version"]).run()?.ok()
    })
}

/// Certificates from 300 days ago: a third of their 397 days is not left any more.
fn renewed(on: &Machine) -> Result<()> {
    let mut then = on.host.with_storage(Command::new("faketime"));
    then.args(["-f", "-300d"]).arg(on.host.program());
    then.args(["regenerate-certs", "-f", "--client-certs", "dev"]).run()?.ok()?;
    let before = (serial(on, "server.pem")?, serial(on, "cert.pem")?);
    ensure!(served(on)? == before.0);
    on.docker(["version"]).run()?.ok()?;
    with_an_open_stream(on, || {
        let env = on.host.machine().args(["env", "--shell", "sh", "dev"]).run()?;
        let after = (serial(on, "server.pem")?, serial(on, "cert.pem")?);
        ensure!(before.0 != after.0 && before.1 != after.1, "nothing was renewed: {env}");
        ensure!(served(on)? == after.0, "the server does not show the new certificate");
        on.docker(["version"]).run()?.ok()
    })
}

fn viewer(on: &Machine) -> Result<()> {
    let place = tempfile::tempdir()?;
    let directory = place.path().join("viewer");
    let words = ["certs", "issue", "--role", "viewer", "dev"];
    on.host.machine().args(words).arg(&directory).run()?.ok()?;
    let view = |words: &[&str]| {
        let mut docker = on.docker(words.iter().copied());
        docker.env("DOCKER_CERT_PATH", &directory).run()
    };
    on.docker(["create", "--name", "seen", "busybox", "true"]).run()?.ok()?;
    ensure!(view(&["ps", "-a", "--format", "{{.Names}}"])?.text()?.contains("seen"));
    for words in [
        &["rm", "seen"][..],
        &["start", "seen"],
        &["run", "busybox", "true"],
        &["volume", "create", "v"],
        &["rmi", "busybox"],
        &["exec", "seen", "true"],
    ] {
        let refused = view(words)?;
        ensure!(refused.code != 0, "{refused}");
    }
    view(&["rm", "seen"])?.says("viewer")?;
    on.docker(["rm", "seen"]).run()?.ok()
}
