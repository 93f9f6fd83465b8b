//! What can be seen of containers: ps and its filters, top, wait, events, prune, and streams.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use std::sync::PoisonError;

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Run, eventually};

use crate::fixture::Fixture;
use crate::listener::Listener;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("filters_of_ps_find_what_they_name", filters),
    ("prune_removes_what_ended_and_was_chosen", prune),
    ("top_takes_the_arguments_of_ps", top),
    ("a_restart_policy_gives_up_after_its_tries", restarts),
    ("execs_are_told_from_begin_to_end", execs),
    ("volumes_are_told_between_network_and_start", volumes),
    ("a_websocket_carries_input_and_output", websocket),
    ("checkpoints_are_refused_with_a_reason", checkpoints),
];

fn filters(on: &Fixture) -> Result<()> {
    let ended =
        ["run", "--name", "seen-ended", "--label", "seen=1", "busybox", "sh", "-c", "exit 3"];
    on.docker(ended).run()?.code(3)?;
    let run = ["run", "-d", "--name", "seen-up", "--label", "seen=2", "-v", "/seen", "busybox"];
    on.text(&[&run[..], &["sleep", "1000"]].concat())?;
    let names = |filter: &str| {
        on.text(&[
            "ps",
            "-a",
            "--filter",
            "label=seen",
            "--filter",
            filter,
            "--format",
            "{{.Names}}",
        ])
    };
    for (filter, expected) in [
        ("exited=3", "seen-ended"),
        ("status=running", "seen-up"),
        ("name=^/?seen-(up|down)$", "seen-up"),
        ("volume=/seen", "seen-up"),
        ("since=seen-ended", "seen-up"),
        ("before=seen-up", "seen-ended"),
        ("ancestor=busybox", "seen-up\nseen-ended"),
        ("network=bridge", "seen-up\nseen-ended"),
        ("label=seen=1", "seen-ended"),
    ] {
        let found = names(filter)?;
        ensure!(found == expected, "{filter}: {found}");
    }
    let bad = on.docker(["ps", "--filter", "status=gone"]).run()?;
    bad.code(1)?.says("invalid value for state (gone): must be one of created, running")?;
    on.text(&["rm", "-fv", "seen-up", "seen-ended"]).map(drop)
}

fn prune(on: &Fixture) -> Result<()> {
    let _alone = on.prunes.lock().unwrap_or_else(PoisonError::into_inner);
    let write = ["sh", "-c", "dd if=/dev/zero of=/big bs=1024 count=100 2>/dev/null"];
    let run = ["run", "--name", "pruned", "--label", "prune=yes", "busybox"];
    on.text(&[&run[..], &write[..]].concat())?;
    let up = ["run", "-d", "--name", "kept", "--label", "prune=yes", "busybox", "sleep", "1000"];
    on.text(&up)?;
    let seen = on.text(&["container", "prune", "-f", "--filter", "label=prune=yes"])?;
    ensure!(seen.starts_with("Deleted Containers:\n"), "{seen}");
    ensure!(seen.contains("Total reclaimed space: 102.4kB"), "{seen}");
    on.docker(["inspect", "pruned"]).run()?.code(1)?;
    ensure!(on.inspect("kept")?["State"]["Running"] == true);
    let none = on.text(&["container", "prune", "-f", "--filter", "label=prune=yes"])?;
    ensure!(none == "Total reclaimed space: 0B", "{none}");
    on.text(&["rm", "-f", "kept"]).map(drop)
}

fn top(on: &Fixture) -> Result<()> {
    let run = ["run", "-d", "--name", "top-args", "-u", "app", "busybox"];
    on.text(&[&run[..], &["sh", "-c", "sleep 1000 & wait"]].concat())?;
    eventually("both run", || Ok(on.text(&["top", "top-args"])?.lines().count() == 3))?;
    let columns = on.text(&["top", "top-args", "-o", "pid,ppid,euid,comm"])?;
    let header: Vec<&str> = columns.lines().next().unwrap_or_default().split_whitespace().collect();
    ensure!(header == ["PID", "PPID", "EUID", "COMMAND"], "{columns}");
    ensure!(columns.lines().skip(1).all(|line| line.contains("1000")), "{columns}");
    let bsd = on.text(&["top", "top-args", "aux"])?;
    ensure!(bsd.starts_with("USER") && bsd.contains("%MEM") && bsd.contains("sleep 1000"), "{bsd}");
    let tree = on.text(&["top", "top-args", "-ef", "--forest", "--sort=-pid"])?;
    let drawn: Vec<&str> = tree.lines().filter(|line| line.contains("\\_ ")).collect();
    ensure!(drawn.len() == 2 && drawn[1].ends_with("\\_ sleep 1000"), "{tree}");
    let memory = on.text(&["top", "top-args", "axv"])?;
    ensure!(memory.starts_with("PID") && memory.contains("TRS"), "{memory}");
    let variables = on.text(&["top", "top-args", "axe"])?;
    ensure!(variables.contains("PATH="), "{variables}");
    let threads = on.text(&["top", "top-args", "-L"])?;
    ensure!(threads.contains("LWP") && threads.lines().count() == 3, "{threads}");
    let bad = on.docker(["top", "top-args", "-o", "cmd"]).run()?;
    bad.code(1)?.says("Couldn't find PID field in ps output")?;
    on.text(&["rm", "-f", "top-args"]).map(drop)
}

fn restarts(on: &Fixture) -> Result<()> {
    let format = "{{.Action}} {{.Actor.Attributes.exitCode}}";
    let listener = Listener::start(on, "container=tries", format)?;
    let run = ["run", "-d", "--name", "tries", "--restart", "on-failure:2", "busybox"];
    on.text(&[&run[..], &["sh", "-c", "exit 9"]].concat())?;
    eventually("it has given up", || {
        let container = on.inspect("tries")?;
        Ok(container["RestartCount"] == 2 && container["State"]["Status"] == "exited")
    })?;
    on.text(&["rm", "tries"])?;
    let told = listener.told_up_to("destroy")?;
    let died: Vec<&String> = told.iter().filter(|line| line.starts_with("die ")).collect();
    ensure!(died == ["die 9", "die 9", "die 9"], "{told:?}");
    Ok(())
}

fn execs(on: &Fixture) -> Result<()> {
    let format = "{{.Action}} {{.Actor.Attributes.exitCode}}";
    let listener = Listener::start(on, "container=exec-told", format)?;
    on.text(&["run", "-d", "--name", "exec-told", "busybox", "sleep", "1000"])?;
    on.docker(["exec", "exec-told", "sh", "-c", "exit 5"]).run()?.code(5)?;
    on.text(&["rm", "-f", "exec-told"])?;
    let told = listener.told_up_to("destroy")?;
    let lines: Vec<&String> = told.iter().filter(|line| line.starts_with("exec_")).collect();
    ensure!(
        lines
            == [
                "exec_create: sh -c exit 5 <no value>",
                "exec_start: sh -c exit 5 <no value>",
                "exec_die 5"
            ],
        "{told:?}"
    );
    Ok(())
}

fn volumes(on: &Fixture) -> Result<()> {
    let listener = Listener::start(on, "volume=heard-of", "{{.Action}}")?;
    let run = ["run", "--rm", "--name", "with-volume", "-v", "heard-of:/data", "busybox", "true"];
    on.text(&run)?;
    on.text(&["volume", "rm", "heard-of"])?;
    let told = listener.told_up_to("destroy")?;
    ensure!(told == ["create", "mount", "unmount", "destroy"], "{told:?}");
    Ok(())
}

/// The engine over the machine's socket, without TLS in between.
fn request(on: &Fixture, head: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(on.machine.directory().join("docker.sock"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(format!("{head}\r\nHost: docker\r\n\r\n").as_bytes())?;
    Ok(stream)
}

fn websocket(on: &Fixture) -> Result<()> {
    on.text(&["run", "-di", "--name", "socket", "busybox", "cat"])?;
    let path = "/containers/socket/attach/ws?stream=1&stdin=1&stdout=1";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut stream = request(on, &format!("GET {path} HTTP/1.1\r\n{upgrade}"))?;
    let head = read_head(&mut stream)?;
    ensure!(head.starts_with("http/1.1 101"), "{head}");
    ensure!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    // A binary frame of three bytes with the mask that changes nothing, and one without.
    stream.write_all(b"\x82\x83\0\0\0\0hi\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).context("no answer")?;
    ensure!(&answer == b"\x82\x03hi\n", "{answer:?}");
    on.text(&["kill", "socket"])?;
    let mut close = [0; 2];
    stream.read_exact(&mut close).context("no end")?;
    ensure!(close[0] == 0x88, "{close:?}");
    on.text(&["rm", "socket"]).map(drop)
}

fn read_head(stream: &mut UnixStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

fn checkpoints(on: &Fixture) -> Result<()> {
    on.text(&["create", "--name", "frozen", "busybox"])?;
    let mut stream =
        request(on, "GET /containers/frozen/checkpoints HTTP/1.1\r\nConnection: close")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    ensure!(answer.contains("checkpointing containers is not implemented"), "{answer}");
    on.text(&["rm", "frozen"]).map(drop)
}
