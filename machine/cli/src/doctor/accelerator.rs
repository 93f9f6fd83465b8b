//! Can guests run on the processor itself, or must they be emulated?

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;

use machine_qemu::probe::Found;
use machine_store::atomic;
use serde::Deserialize;

use super::{Finding, trial};
use crate::Context;

const ABSENT: &str = "enable virtualization in the firmware's settings, then: sudo modprobe \
                      kvm_intel or kvm_amd; if this host is itself virtual, its host must allow \
                      nested virtualization";

const BROKEN: &str = "install updates of the kernel and of QEMU; if this host is itself virtual, \
                      nested virtualization must be allowed, and work, on its host";

pub(super) async fn examine(qemu: Option<&Found>) -> Vec<Finding> {
    let mut findings =
        vec![if cfg!(target_os = "macos") { hvf(qemu).await } else { kvm(qemu).await }];
    if let Some(qemu) = qemu {
        findings.push(match trial::run(qemu, "tcg").await {
            Ok(()) => Finding::ok("emulation", "a guest runs"),
            Err(reason) => Finding::fail(
                "emulation",
                format!("not even an emulated guest runs: {reason}"),
                "install QEMU again",
            ),
        });
    }
    findings
}

async fn kvm(qemu: Option<&Found>) -> Finding {
    const CHECK: &str = "kvm";
    match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::warn(
            CHECK,
            "there is no /dev/kvm; guests are emulated, which is slower",
            ABSENT,
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::warn(
            CHECK,
            "permission to open /dev/kvm is denied; guests are emulated, which is slower",
            "sudo usermod -aG kvm $USER, then log in again",
        ),
        Err(error) => Finding::warn(
            CHECK,
            format!("/dev/kvm cannot be opened ({error}); guests are emulated, which is slower"),
            ABSENT,
        ),
        Ok(_) => accelerated(CHECK, "kvm", BROKEN, qemu).await,
    }
}

async fn hvf(qemu: Option<&Found>) -> Finding {
    let fix = "install QEMU with brew install qemu: it is signed for Hypervisor.framework; a \
               virtual Mac may not have it at all";
    accelerated("hvf", "hvf", fix, qemu).await
}

/// QEMU asks for the interface's version and refuses another; that a guest runs is seen only when
/// one does.
async fn accelerated(
    check: &'static str,
    accelerator: &str,
    fix: &str,
    qemu: Option<&Found>,
) -> Finding {
    let Some(qemu) = qemu else {
        return Finding::warn(check, "it could not be tried without QEMU", "install QEMU");
    };
    match trial::run(qemu, accelerator).await {
        Ok(()) => Finding::ok(check, "a guest runs"),
        Err(reason) => Finding::warn(
            check,
            format!(
                "it is there but runs no guest ({reason}); guests are emulated, which is slower"
            ),
            fix,
        ),
    }
}

/// What earlier starts have found out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Remembered {
    unusable: BTreeMap<String, Unusable>,
}

#[derive(Debug, Deserialize)]
struct Unusable {
    circumstances: String,
    reason: String,
}

pub(super) fn remembered(context: &Context) -> Vec<Finding> {
    let path = context.machines.store().layout().host_facts();
    let Ok(text) = atomic::read(&path, 64 * 1024) else { return Vec::new() };
    let remembered: Remembered = serde_json::from_str(&text).unwrap_or_default();
    remembered
        .unusable
        .iter()
        .map(|(accelerator, unusable)| {
            Finding::warn(
                "earlier starts",
                format!(
                    "{accelerator} ran no guest: {} (kernel, boot and QEMU then: {})",
                    unusable.reason, unusable.circumstances
                ),
                format!(
                    "nothing to do: it is tried again after a restart or with another kernel or \
                     QEMU; to have it tried at once, remove {}",
                    path.display()
                ),
            )
        })
        .collect()
}
