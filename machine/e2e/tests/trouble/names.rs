//! Names outside, resolved through QEMU by the host's own resolver.

use std::net::UdpSocket;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use machine_e2e::{Check, Host, Machine, Run, archive};

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("containers_resolve_what_the_host_resolves", resolved)];

/// Answers every question with this address, until the socket is closed by the program's end.
const ADDRESS: [u8; 4] = [10, 9, 8, 7];

/// A host whose only name server is ours: a mount namespace with another resolv.conf.
fn resolved(_: &Machine) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:53").context("this check needs root for port 53")?;
    std::thread::spawn(move || serve(&socket));
    let place = tempfile::tempdir()?;
    let resolver = place.path().join("resolv.conf");
    std::fs::write(&resolver, "nameserver 127.0.0.1\n")?;

    let host = Host::new()?;
    let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", resolver.display());
    let mut create = Command::new("unshare");
    create.args(["--mount", "sh", "-c", &script, "sh"]).arg(host.machine().get_program());
    create.args(["create", "--accel", "tcg", "named"]);
    create.env("MACHINE_STORAGE_PATH", host.storage()).run()?.ok()?;

    let machine = Machine::attach(host, "named")?;
    let root = archive::busybox_root()?;
    machine.docker(["import", "-c", "ENV PATH=/bin", "-", "busybox"]).run_with(&root)?.ok()?;
    let asked = machine.docker(["run", "--rm", "busybox", "nslookup", "far.away.example"]).run()?;
    ensure!(asked.stdout.contains("10.9.8.7"), "{asked}");
    machine.docker(["pull", "nowhere.invalid/x"]).run()?.code(1)?.says(
        "Get \"https://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid on 10.0.2.3:53: no \
         such host",
    )?;
    Ok(())
}

/// The smallest DNS server (RFC 1035): the question comes back with one A record, or with none for
/// other types. What ends with `.invalid` is not there (RFC 6761).
fn serve(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut packet) {
        let question = &packet[..length];
        let Some(end) = question[12..].iter().position(|byte| *byte == 0) else { continue };
        let Some(kind) = question.get(12 + end + 1..12 + end + 3) else { continue };
        let is_there = !question[12..12 + end].ends_with(b"\x07invalid");
        let is_a = is_there && kind == [0, 1];
        let mut answer = question[..12 + end + 5].to_vec();
        answer[2..4].copy_from_slice(&[0x81, if is_there { 0x80 } else { 0x83 }]);
        answer[6..12].copy_from_slice(&[0, u8::from(is_a), 0, 0, 0, 0]);
        if is_a {
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend_from_slice(&ADDRESS);
        }
        drop(socket.send_to(&answer, client));
    }
}
