//! Is there a QEMU, is it new enough, has it what machines are made of?

use machine_qemu::probe::{self, Found, ProbeError};
use machine_qemu::spec::Architecture;

use super::{Finding, output, told};

const INSTALL: &str = "install QEMU: apt-get install qemu-system-x86 or qemu-system-arm (Debian, \
                       Ubuntu), dnf install qemu-system-x86 (Fedora), brew install qemu (macOS)";

/// What a machine is made of, as `-device help` and `-netdev help` list it.
const DEVICES: [&str; 5] = [
    "virtio-blk-pci",
    "virtio-net-pci",
    "virtio-serial-pci",
    "virtio-rng-pci",
    "virtio-balloon-pci",
];

pub(super) async fn examine() -> (Vec<Finding>, Option<Found>) {
    let found = match probe::locate(Architecture::HOST) {
        Ok(program) => probe::probe(&program).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let text = format!("QEMU {} ({})", found.version, found.program.display());
            let mut findings = vec![Finding::ok("qemu", text)];
            findings.push(devices(&found).await);
            if cfg!(target_os = "linux") && !found.features.sandbox {
                findings.push(Finding::warn(
                    "qemu sandbox",
                    "this QEMU was built without seccomp; it runs without a sandbox",
                    "install a QEMU with seccomp, as Debian and Fedora build it",
                ));
            }
            (findings, Some(found))
        }
        Err(error) => {
            let fix = match &error {
                ProbeError::Missing { .. } => INSTALL.to_owned(),
                ProbeError::TooOld { .. } => {
                    format!("install QEMU {} or newer, or name one in MACHINE_QEMU", probe::OLDEST)
                }
                ProbeError::NoVersion { .. } | ProbeError::NotRunnable { .. } => {
                    format!("try it by hand, then {INSTALL}")
                }
            };
            (vec![Finding::fail("qemu", told(&error), fix)], None)
        }
    }
}

async fn devices(found: &Found) -> Finding {
    const CHECK: &str = "qemu devices";
    let mut listed = String::new();
    for arguments in [["-device", "help"], ["-netdev", "help"]] {
        match output(&found.program, &arguments).await {
            // Which stream it is differs between versions.
            Ok(output) => {
                listed.push_str(&String::from_utf8_lossy(&output.stdout));
                listed.push_str(&String::from_utf8_lossy(&output.stderr));
            }
            Err(error) => return Finding::fail(CHECK, told(&error), INSTALL),
        }
    }
    let missing = missing(&listed);
    if missing.is_empty() {
        Finding::ok(CHECK, "virtio disk, network, serial, random and balloon; user network")
    } else {
        Finding::fail(CHECK, format!("this QEMU has no {}", missing.join(", ")), INSTALL)
    }
}

fn missing(listed: &str) -> Vec<&'static str> {
    let mut missing: Vec<&str> =
        DEVICES.into_iter().filter(|device| !listed.contains(&format!("\"{device}\""))).collect();
    if !listed.lines().any(|line| line.trim() == "user") {
        missing.push("user network");
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn devices_are_looked_for_as_qemu_lists_them() {
        let listed = "name \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\"\n\
                      name \"virtio-net-pci\", bus PCI\nname \"virtio-serial-pci\", bus PCI\n\
                      name \"virtio-rng-pci\", bus PCI\nname \"virtio-balloon-pci\", bus PCI\n\
                      Available netdev backend types:\nsocket\nuser\n";
        assert!(missing(listed).is_empty());
        let without = listed.replace("\nuser\n", "\n").replace("virtio-rng-pci", "x");
        assert_eq!(missing(&without), ["virtio-rng-pci", "user network"]);
    }
}
