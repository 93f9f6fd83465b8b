//! Programs that find the machine: docker contexts, ssh, scp, tools that look for a socket.

use std::process::Command;

use anyhow::{Result, ensure};
use machine_e2e::{Check, Machine, Run, host};

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("a_context_of_its_name_leads_to_the_machine", context),
    ("use_selects_the_context_and_nothing_else_does", select),
    ("a_context_of_the_users_own_stays", foreign),
    ("openssh_finds_the_machine_by_its_configuration", openssh),
    ("scp_copies_both_ways", scp),
    ("sftp_works", sftp),
    ("a_port_is_forwarded_by_ssh", forwarded),
    ("the_socket_on_the_host_is_the_engine", socket),
    ("exec_sets_the_environment_and_passes_the_status_on", exec),
];

/// The docker command as the user of this host runs it.
fn docker(on: &Machine, words: &[&str]) -> Result<Command> {
    let mut command = on.host.with_storage(Command::new(host::docker("forky")?));
    command.args(words);
    Ok(command)
}

fn context(on: &Machine) -> Result<()> {
    let listed = docker(on, &["context", "ls", "--format", "{{.Name}}"])?.run()?.text()?;
    ensure!(listed.lines().any(|name| name == "dev"), "{listed}");
    let asked = docker(on, &["--context", "dev", "info", "--format", "{{.Name}}"])?.run()?;
    ensure!(asked.text()? == "dev", "{asked}");
    Ok(())
}

fn select(on: &Machine) -> Result<()> {
    let shown = || docker(on, &["context", "show"])?.run()?.text();
    ensure!(shown()? == "default", "create has selected {}", shown()?);
    on.host.machine().args(["use", "dev"]).run()?.ok()?;
    ensure!(shown()? == "dev", "{}", shown()?);
    docker(on, &["version"])?.run()?.ok()?;
    on.host.machine().args(["use", "--unset"]).run()?.ok()?;
    ensure!(shown()? == "default", "{}", shown()?);
    Ok(())
}

fn foreign(on: &Machine) -> Result<()> {
    let words = ["context", "create", "mine", "--docker", "host=tcp://127.0.0.1:1"];
    docker(on, &words)?.run()?.ok()?;
    on.host.machine().args(["clone", "dev", "mine"]).run()?.says("mine")?;
    let host = docker(on, &["context", "inspect", "-f", "{{.Endpoints.docker.Host}}", "mine"])?;
    ensure!({ host }.run()?.text()? == "tcp://127.0.0.1:1", "it was replaced");
    on.host.machine().args(["rm", "-f", "-y", "mine"]).run()?.ok()?;
    let listed = docker(on, &["context", "ls", "--format", "{{.Name}}"])?.run()?.text()?;
    ensure!(listed.lines().any(|name| name == "mine"), "it was removed: {listed}");
    docker(on, &["context", "rm", "mine"])?.run()?.ok()
}

fn openssh_command(on: &Machine, program: &str) -> Command {
    let mut command = on.host.with_storage(Command::new(program));
    command.arg("-F").arg(on.host.storage().join("ssh_config"));
    command
}

fn openssh(on: &Machine) -> Result<()> {
    let asked = openssh_command(on, "ssh").args(["dev.machine", "hostname; exit 7"]).run()?;
    ensure!(asked.code == 7 && asked.stdout == "dev\n", "{asked}");
    Ok(())
}

fn scp(on: &Machine) -> Result<()> {
    let place = tempfile::tempdir()?;
    let (sent, back) = (place.path().join("sent file"), place.path().join("back"));
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&sent, &content)?;
    let to = |words: &[&std::ffi::OsStr]| on.host.machine().arg("scp").args(words).run();
    to(&[sent.as_os_str(), "dev:/tmp/there".as_ref()])?.ok()?;
    to(&["dev:/tmp/there".as_ref(), back.as_os_str()])?.ok()?;
    ensure!(std::fs::read(&back)? == content, "other bytes came back");
    let tree = place.path().join("tree/deep");
    std::fs::create_dir_all(&tree)?;
    std::fs::write(tree.join("leaf"), "leaf")?;
    let tree = place.path().join("tree");
    to(&["-r".as_ref(), tree.as_os_str(), "dev:/tmp".as_ref()])?.ok()?;
    ensure!(on.ssh(["cat", "/tmp/tree/deep/leaf"]).run()?.text()? == "leaf");
    on.ssh(["rm", "-r", "/tmp/tree", "/tmp/there"]).run()?.ok()
}

fn sftp(on: &Machine) -> Result<()> {
    let batch = "mkdir /tmp/made\nls -l /tmp\nrmdir /tmp/made\n";
    let ran =
        openssh_command(on, "sftp").args(["-b", "-", "dev.machine"]).run_with(batch.as_bytes())?;
    ensure!(ran.text()?.contains("made"), "{ran}");
    Ok(())
}

fn forwarded(on: &Machine) -> Result<()> {
    let place = tempfile::tempdir()?;
    let socket = place.path().join("engine.sock");
    let forward = format!("{}:/var/run/docker.sock", socket.display());
    // The command holds the connection open for as long as its input is.
    let script =
        format!("\"$0\" -H unix://{} version --format '{{{{.Server.Os}}}}'", socket.display());
    let mut ssh = openssh_command(on, "ssh");
    ssh.args(["-f", "-o", "ExitOnForwardFailure=yes", "-L", &forward, "dev.machine", "sleep 20"]);
    // With -f it returns once the forward listens.
    let status = ssh
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(host::docker("forky")?);
    let asked = shell.run()?;
    ensure!(asked.text()? == "linux", "{asked}");
    on.ssh(["killall", "sleep"]).run()?.ok()
}

fn socket(on: &Machine) -> Result<()> {
    let socket = on.directory().join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let asked =
        docker(on, &["-H", &host, "run", "--rm", "-i", "busybox", "cat"])?.run_with(b"hi")?;
    ensure!(asked.text()? == "hi", "{asked}");
    use std::os::unix::fs::PermissionsExt;
    let mode = socket.metadata()?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    Ok(())
}

fn exec(on: &Machine) -> Result<()> {
    let script = "echo $DOCKER_MACHINE_NAME $DOCKER_TLS_VERIFY; exit 9";
    let ran = on.host.machine().args(["exec", "dev", "--", "sh", "-c", script]).run()?;
    ensure!(ran.code == 9 && ran.stdout == "dev 1\n", "{ran}");
    let docker = host::docker("forky")?;
    let ran = on.host.machine().args(["exec", "dev", "--"]).arg(docker).args(["ps", "-q"]).run()?;
    ran.ok()?;
    on.host.machine().args(["exec", "dev", "--", "no-such-program"]).run()?.code(127).map(drop)
}
