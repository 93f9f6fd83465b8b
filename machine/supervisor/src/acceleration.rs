//! Which accelerators to try, in which order.

use std::fs::OpenOptions;
use std::io;

use machine_lifecycle::driver::{Acceleration, DriverError};
use machine_qemu::spec::Accelerator;

/// Whether this user can use KVM, as far as a file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KvmDevice {
    Opens,
    Forbidden,
    Absent,
}

impl KvmDevice {
    pub(crate) fn of_host() -> Self {
        if !cfg!(target_os = "linux") {
            return Self::Absent;
        }
        match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            Ok(_) => Self::Opens,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Forbidden,
            Err(_) => Self::Absent,
        }
    }
}

/// Which systems have which accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Linux(KvmDevice),
    MacOs,
}

impl System {
    pub(crate) fn of_host() -> Self {
        if cfg!(target_os = "macos") { Self::MacOs } else { Self::Linux(KvmDevice::of_host()) }
    }
}

/// What to try, best first, and what to tell the user beforehand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) candidates: Vec<Accelerator>,
    pub(crate) warning: Option<&'static str>,
}

pub(crate) fn plan(
    wanted: Acceleration,
    system: System,
    is_known_unusable: impl Fn(Accelerator) -> bool,
) -> Result<Plan, DriverError> {
    let only = |accelerator| Ok(Plan { candidates: vec![accelerator], warning: None });
    let unusable = |wanted: &str, reason: &str| {
        Err(DriverError::AccelerationUnusable {
            wanted: wanted.to_owned(),
            reason: reason.to_owned(),
        })
    };
    match (wanted, system) {
        (Acceleration::Tcg, _) => only(Accelerator::Tcg),
        (Acceleration::Kvm, System::Linux(KvmDevice::Opens)) => only(Accelerator::Kvm),
        (Acceleration::Kvm, System::Linux(KvmDevice::Forbidden)) => {
            unusable("KVM", "permission to open /dev/kvm is denied")
        }
        (Acceleration::Kvm, System::Linux(KvmDevice::Absent)) => {
            unusable("KVM", "there is no /dev/kvm")
        }
        (Acceleration::Kvm, System::MacOs) => unusable("KVM", "it is part of Linux"),
        (Acceleration::Hvf, System::MacOs) => only(Accelerator::Hvf),
        (Acceleration::Hvf, System::Linux(_)) => unusable("HVF", "it is part of macOS"),
        (Acceleration::Auto, System::MacOs) => Ok(automatic(Accelerator::Hvf, is_known_unusable)),
        (Acceleration::Auto, System::Linux(KvmDevice::Opens)) => {
            Ok(automatic(Accelerator::Kvm, is_known_unusable))
        }
        (Acceleration::Auto, System::Linux(KvmDevice::Absent)) => only(Accelerator::Tcg),
        (Acceleration::Auto, System::Linux(KvmDevice::Forbidden)) => Ok(Plan {
            candidates: vec![Accelerator::Tcg],
            warning: Some(
                "permission to open /dev/kvm is denied; using plain emulation, which is slower",
            ),
        }),
    }
}

/// Whether an accelerator is there at all; whether it works shows only when it is tried.
pub(crate) fn is_present(accelerator: Accelerator, system: System) -> bool {
    match accelerator {
        Accelerator::Tcg => true,
        Accelerator::Kvm => system == System::Linux(KvmDevice::Opens),
        Accelerator::Hvf => system == System::MacOs,
    }
}

fn automatic(best: Accelerator, is_known_unusable: impl Fn(Accelerator) -> bool) -> Plan {
    let mut candidates = vec![best, Accelerator::Tcg];
    if is_known_unusable(best) {
        candidates.remove(0);
    }
    Plan { candidates, warning: None }
}

/// An accelerator's name for people.
pub(crate) fn title(accelerator: Accelerator) -> &'static str {
    match accelerator {
        Accelerator::Kvm => "KVM",
        Accelerator::Hvf => "HVF",
        Accelerator::Tcg => "plain emulation",
    }
}

pub(crate) fn acceleration(accelerator: Accelerator) -> Acceleration {
    match accelerator {
        Accelerator::Kvm => Acceleration::Kvm,
        Accelerator::Hvf => Acceleration::Hvf,
        Accelerator::Tcg => Acceleration::Tcg,
    }
}

/// Whether a QEMU that ended before its guest ran did so because of its accelerator.
pub(crate) fn blames_accelerator(exit: &str, complaints: &str) -> bool {
    let complaints = complaints.to_lowercase();
    let words = ["kvm", "hvf", "failed to set msr", "accelerator", "hypervisor"];
    // An assertion fails, rather than an option, when the kernel does what QEMU never expected.
    exit.contains("signal") || words.iter().any(|word| complaints.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENS: System = System::Linux(KvmDevice::Opens);

    fn candidates(wanted: Acceleration, system: System, known_bad: bool) -> Vec<Accelerator> {
        plan(wanted, system, |_| known_bad).unwrap().candidates
    }

    fn refusal(wanted: Acceleration, system: System) -> String {
        plan(wanted, system, |_| false).unwrap_err().to_string()
    }

    #[test]
    fn the_best_is_tried_first_and_emulation_last() {
        let auto = Acceleration::Auto;
        assert_eq!(candidates(auto, OPENS, false), [Accelerator::Kvm, Accelerator::Tcg]);
        assert_eq!(candidates(auto, System::MacOs, false), [Accelerator::Hvf, Accelerator::Tcg]);
    }

    #[test]
    fn what_is_known_not_to_work_is_not_tried_again() {
        assert_eq!(candidates(Acceleration::Auto, OPENS, true), [Accelerator::Tcg]);
    }

    #[test]
    fn what_the_user_forces_is_tried_whatever_is_known() {
        assert_eq!(candidates(Acceleration::Kvm, OPENS, true), [Accelerator::Kvm]);
        assert_eq!(candidates(Acceleration::Tcg, OPENS, true), [Accelerator::Tcg]);
    }

    #[test]
    fn what_the_host_does_not_have_is_refused_with_the_reason() {
        let absent = System::Linux(KvmDevice::Absent);
        assert_eq!(
            refusal(Acceleration::Kvm, absent),
            "KVM does not work on this host: there is no /dev/kvm"
        );
        assert_eq!(
            refusal(Acceleration::Hvf, OPENS),
            "HVF does not work on this host: it is part of macOS"
        );
    }

    #[test]
    fn a_forbidden_device_is_worth_a_warning() {
        let plan = plan(Acceleration::Auto, System::Linux(KvmDevice::Forbidden), |_| false);
        let plan = plan.unwrap();
        assert_eq!(plan.candidates, [Accelerator::Tcg]);
        assert!(plan.warning.unwrap().contains("/dev/kvm"));
    }

    #[test]
    fn only_some_ends_are_the_accelerators_fault() {
        let assertion = "error: failed to set MSR 0x10a to 0x69\nkvm_buf_set_msrs: Assertion";
        assert!(blames_accelerator("QEMU was killed by signal 6", assertion));
        let denied = "failed to initialize kvm: Operation not permitted";
        assert!(blames_accelerator("QEMU ended with status 1", denied));
        let port = "Could not set up host forwarding rule 'tcp:127.0.0.1:80-:80'";
        assert!(!blames_accelerator("QEMU ended with status 1", port));
    }
}
