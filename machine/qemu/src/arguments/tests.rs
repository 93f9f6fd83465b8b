//! The whole argument list of every kind of machine.

use std::path::PathBuf;

use super::{arguments, hardware};
use crate::spec::{
    Accelerator, Architecture, Features, MachineType, PortForward, SerialPort, VmSpec, machine_type,
};

fn vm(architecture: Architecture, accelerator: Accelerator) -> VmSpec {
    let port = |id: &str, name: &str, descriptor| SerialPort {
        id: id.to_owned(),
        name: name.to_owned(),
        descriptor,
    };
    VmSpec {
        name: "dev".to_owned(),
        architecture,
        machine: machine_type(accelerator, architecture),
        accelerator,
        cpus: 2,
        memory_mib: 2048,
        disk: PathBuf::from("disk.qcow2"),
        kernel: PathBuf::from("/images/vmlinux"),
        initramfs: PathBuf::from("/images/initramfs.cpio"),
        boot_contract: PathBuf::from("boot.json"),
        boot_contract_name: "opt/org.machine/boot".to_owned(),
        console_log: PathBuf::from("console.log"),
        forwards: vec![
            PortForward { host: 23760, guest: 2376 },
            PortForward { host: 22220, guest: 22 },
        ],
        ports: vec![
            port("control", "org.machine.control.0", 11),
            port("agent", "org.qemu.guest_agent.0", 12),
        ],
        qmp_descriptor: 10,
        features: Features { sandbox: true, qboot: true },
        incoming: false,
    }
}

/// One switch a line, as it would be typed.
fn shown(vm: &VmSpec) -> String {
    let mut text = String::new();
    for argument in arguments(vm) {
        let separator = if argument.starts_with('-') { '\n' } else { ' ' };
        text.push(separator);
        text.push_str(&argument);
    }
    text
}

#[test]
fn x86_64_q35_emulated() {
    insta::assert_snapshot!(shown(&vm(Architecture::X86_64, Accelerator::Tcg)));
}

#[test]
fn x86_64_q35_kvm() {
    insta::assert_snapshot!(shown(&vm(Architecture::X86_64, Accelerator::Kvm)));
}

#[test]
fn x86_64_microvm_emulated() {
    let mut vm = vm(Architecture::X86_64, Accelerator::Tcg);
    vm.machine = MachineType::Microvm;
    vm.cpus = 1;
    insta::assert_snapshot!(shown(&vm));
}

#[test]
fn x86_64_microvm_kvm() {
    let mut vm = vm(Architecture::X86_64, Accelerator::Kvm);
    vm.machine = MachineType::Microvm;
    insta::assert_snapshot!(shown(&vm));
}

#[test]
fn aarch64_virt_on_macos() {
    let mut vm = vm(Architecture::Aarch64, Accelerator::Hvf);
    vm.features = Features::default();
    insta::assert_snapshot!(shown(&vm));
}

#[test]
fn aarch64_virt_kvm() {
    insta::assert_snapshot!(shown(&vm(Architecture::Aarch64, Accelerator::Kvm)));
}

#[test]
fn aarch64_virt_emulated() {
    insta::assert_snapshot!(shown(&vm(Architecture::Aarch64, Accelerator::Tcg)));
}

#[test]
fn x86_64_q35_emulated_going_on() {
    let mut vm = vm(Architecture::X86_64, Accelerator::Tcg);
    vm.incoming = true;
    insta::assert_snapshot!(shown(&vm));
}

#[test]
fn aarch64_virt_on_macos_going_on() {
    let mut vm = vm(Architecture::Aarch64, Accelerator::Hvf);
    vm.features = Features::default();
    vm.incoming = true;
    insta::assert_snapshot!(shown(&vm));
}

#[test]
fn what_goes_on_has_the_hardware_it_was_saved_with() {
    for accelerator in [Accelerator::Tcg, Accelerator::Kvm] {
        let booting = vm(Architecture::X86_64, accelerator);
        let mut going_on = booting.clone();
        going_on.incoming = true;
        going_on.name = "another".to_owned();
        going_on.disk = PathBuf::from("/elsewhere/disk.qcow2");
        going_on.kernel = PathBuf::from("/elsewhere/vmlinux");
        going_on.forwards = vec![PortForward { host: 1, guest: 2376 }];
        going_on.qmp_descriptor = 99;
        going_on.ports[0].descriptor = 98;
        assert_eq!(hardware(&booting), hardware(&going_on));
        going_on.memory_mib += 1;
        assert_ne!(hardware(&booting), hardware(&going_on));
    }
}

#[test]
fn a_comma_in_a_value_starts_no_new_option() {
    let mut vm = vm(Architecture::X86_64, Accelerator::Tcg);
    let path = PathBuf::from("/home/a,readonly=on\"/x");
    vm.name = "a,debug-threads=on".to_owned();
    vm.console_log = path.clone();
    vm.boot_contract = path.clone();
    vm.disk = path.clone();
    vm.kernel = path;
    let list = arguments(&vm);
    let has = |value: &str| assert!(list.iter().any(|argument| argument == value), "{value}");
    has("guest=a,,debug-threads=on");
    has("file,id=console,path=/home/a,,readonly=on\"/x,append=off");
    has("name=opt/org.machine/boot,file=/home/a,,readonly=on\"/x");
    has("/home/a,readonly=on\"/x");
    let node = list.iter().find(|argument| argument.contains("qcow2")).unwrap();
    let node: serde_json::Value = serde_json::from_str(node).unwrap();
    assert_eq!(node["file"]["filename"], "/home/a,readonly=on\"/x");
}

#[test]
fn no_machine_gives_up_durability_or_opens_another_file() {
    let all = [
        (Architecture::X86_64, Accelerator::Tcg),
        (Architecture::X86_64, Accelerator::Kvm),
        (Architecture::Aarch64, Accelerator::Hvf),
    ];
    for (architecture, accelerator) in all {
        let text = arguments(&vm(architecture, accelerator)).join(" ");
        assert!(!text.contains("unsafe") && !text.contains("\"no-flush\":true"));
        assert!(text.contains("\"backing\":null"));
        assert!(text.contains("-nodefaults -no-user-config"));
    }
}

#[test]
fn one_emulated_processor_needs_no_smp_locks() {
    let mut vm = vm(Architecture::X86_64, Accelerator::Tcg);
    assert!(!arguments(&vm).join(" ").contains("noreplace-smp"));
    vm.cpus = 1;
    assert!(arguments(&vm).join(" ").contains("noreplace-smp"));
    vm.accelerator = Accelerator::Kvm;
    assert!(!arguments(&vm).join(" ").contains("noreplace-smp"));
}

#[test]
fn more_than_eight_processors_on_macos_get_the_newer_interrupt_controller() {
    let mut vm = vm(Architecture::Aarch64, Accelerator::Hvf);
    vm.cpus = 9;
    assert!(arguments(&vm).contains(&"virt,highmem=on,gic-version=3".to_owned()));
}
