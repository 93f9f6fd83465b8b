//! Log drivers, and everything `docker logs` can be asked for.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("rotated_and_compressed_logs_are_read_whole", rotated),
    ("a_local_log_keeps_every_byte", local),
    ("details_are_shown", details),
    ("a_container_without_a_log_says_so", none),
    ("options_that_do_not_exist_are_refused", options),
    ("output_reaches_the_syslog_daemon_and_docker_logs", syslog),
    ("a_terminals_log_is_raw", terminal),
];

fn run(on: &Fixture, name: &str, flags: &[&str], script: &str) -> Result<()> {
    let words = [&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", script]].concat();
    on.text(&words)?;
    on.text(&["wait", name]).map(drop)
}

fn rotated(on: &Fixture) -> Result<()> {
    let flags = ["max-size=20k", "max-file=100", "compress=true"];
    let flags: Vec<&str> = flags.iter().flat_map(|option| ["--log-opt", option]).collect();
    let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done";
    run(on, "rotated", &flags, script)?;
    let expected: Vec<String> = (1..=3000).map(|number| format!("line {number}")).collect();
    ensure!(on.text(&["logs", "rotated"])?.lines().eq(expected.iter()), "lines are missing");
    let tail = on.text(&["logs", "--tail", "1500", "rotated"])?;
    ensure!(tail.lines().eq(expected[1500..].iter()), "a tail over several files is wrong");
    let path = on.text(&["inspect", "-f", "{{.LogPath}}", "rotated"])?;
    let files = on.machine.ssh([format!("ls {path}*").as_str()]).run()?.text()?;
    ensure!(files.contains("-json.log.2.gz") && !files.contains(".new"), "{files}");
    on.text(&["rm", "rotated"]).map(drop)
}

fn local(on: &Fixture) -> Result<()> {
    // A line of 40000 bytes, bytes that are no text, and no newline at the end.
    let script = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf '\\377\\001'; printf end >&2";
    run(on, "local", &["--log-driver", "local"], script)?;
    let logs = on.docker(["logs", "local"]).run()?;
    let (long, rest) = logs.stdout.split_once('\n').unwrap_or_default();
    ensure!(long.len() == 40_000 && long.bytes().all(|byte| byte == b'x'), "{}", long.len());
    ensure!(rest == "\u{fffd}\u{1}" && logs.stderr == "end", "{logs}");
    on.text(&["rm", "local"]).map(drop)
}

fn details(on: &Fixture) -> Result<()> {
    let flags = ["--label", "role=web", "-e", "OS=linux", "--log-opt", "labels=role"];
    let flags = [&flags[..], &["--log-opt", "env=OS", "--log-opt", "tag={{.Name}}"]].concat();
    run(on, "detailed", &flags, "echo hi")?;
    let seen = on.text(&["logs", "--details", "detailed"])?;
    ensure!(seen == "OS=linux,role=web,tag=detailed hi", "{seen}");
    on.text(&["rm", "detailed"]).map(drop)
}

fn none(on: &Fixture) -> Result<()> {
    run(on, "silent", &["--log-driver", "none"], "echo hi")?;
    let refused = on.docker(["logs", "silent"]).run()?;
    refused.code(1)?.says("configured logging driver does not support reading")?;
    on.text(&["rm", "silent"]).map(drop)
}

fn options(on: &Fixture) -> Result<()> {
    let refused = on.docker(["create", "--log-opt", "x=y", "busybox"]).run()?;
    refused.code(1)?.says("unknown log opt 'x' for json-file log driver")?;
    let refused = on.docker(["create", "--log-driver", "gelf", "busybox"]).run()?;
    refused.code(1)?.says("error looking up logging plugin gelf: plugin \"gelf\" not found")?;
    on.text(&["create", "--name", "unclear", "--log-opt", "max-size=big", "busybox"])?;
    let refused = on.docker(["start", "unclear"]).run()?;
    refused.code(1)?.says("failed to initialize logging driver: invalid size: 'big'")?;
    let drivers = on.text(&["info", "-f", "{{.LoggingDriver}} {{.Plugins.Log}}"])?;
    ensure!(drivers == "json-file [json-file local syslog]", "{drivers}");
    on.text(&["rm", "unclear"]).map(drop)
}

fn syslog(on: &Fixture) -> Result<()> {
    let daemon = UdpSocket::bind("127.0.0.1:0")?;
    daemon.set_read_timeout(Some(Duration::from_secs(20)))?;
    // The host, as the guest's network sees it.
    let address = format!("syslog-address=udp://10.0.2.2:{}", daemon.local_addr()?.port());
    let flags = ["--log-driver", "syslog", "--log-opt", &address, "--log-opt", "tag={{.Name}}"];
    let flags = [&flags[..], &["--log-opt", "syslog-format=rfc5424micro"]].concat();
    run(on, "shipped", &flags, "echo to the host; echo badly >&2")?;
    let mut buffer = [0; 2048];
    let mut received = Vec::new();
    for _ in 0..2 {
        let count = daemon.recv(&mut buffer)?;
        received.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
    }
    received.sort();
    ensure!(received[0].starts_with("<27>1 ") && received[0].ends_with(" - badly\n"));
    ensure!(received[1].starts_with("<30>1 ") && received[1].contains(" shipped "));
    let logs = on.docker(["logs", "shipped"]).run()?;
    ensure!(logs.stdout == "to the host\n" && logs.stderr == "badly\n", "{logs}");
    on.text(&["rm", "shipped"]).map(drop)
}

fn terminal(on: &Fixture) -> Result<()> {
    run(on, "raw", &["-t"], "echo out; echo err >&2")?;
    let logs = on.docker(["logs", "raw"]).run()?;
    ensure!(logs.stdout == "out\r\nerr\r\n" && logs.stderr.is_empty(), "{logs}");
    on.text(&["rm", "raw"]).map(drop)
}
