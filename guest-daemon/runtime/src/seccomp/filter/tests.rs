//! What the programs decide, found by running them as the kernel would.

use std::os::fd::AsRawFd;

use super::*;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;

const ALLOW: u32 = 0x7fff_0000;
const KILL_THREAD: u32 = 0;
const fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

/// The kernel's `struct seccomp_data` as words.
fn data(architecture: u32, number: u32, arguments: [u64; 6]) -> Vec<u32> {
    let mut words = vec![number, architecture, 0, 0];
    for argument in arguments {
        words.extend([(argument & 0xffff_ffff) as u32, (argument >> 32) as u32]);
    }
    words
}

/// Runs a program.
fn decide(program: &[Instruction], data: &[u32]) -> u32 {
    let (mut accumulator, mut at) = (0_u32, 0);
    loop {
        let Instruction { code, if_true, if_false, operand } = program[at];
        at += 1;
        let mut jump =
            |condition: bool| at += usize::from(if condition { if_true } else { if_false });
        match code {
            0x20 => accumulator = data[operand as usize / 4],
            0x54 => accumulator &= operand,
            0x05 => at += operand as usize,
            0x15 => jump(accumulator == operand),
            0x25 => jump(accumulator > operand),
            0x35 => jump(accumulator >= operand),
            0x45 => jump(accumulator & operand != 0),
            0x06 => return operand,
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn program(profile: Option<&str>, capabilities: &[&str]) -> Vec<Instruction> {
    let names: Vec<String> = capabilities.iter().map(|name| (*name).to_owned()).collect();
    read(&Filters::default().get(profile, &names).unwrap().file).unwrap()
}

fn on_x86_64(program: &[Instruction], number: i64, arguments: [u64; 6]) -> u32 {
    decide(program, &data(X86_64, u32::try_from(number).unwrap(), arguments))
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_default_filter_decides_as_the_profile_says() {
    let program = program(None, &["CAP_CHOWN"]);
    for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_clone, libc::SYS_ptrace] {
        assert_eq!(on_x86_64(&program, number, [0; 6]), ALLOW, "{number}");
    }
    for number in [libc::SYS_mount, libc::SYS_bpf, libc::SYS_keyctl, libc::SYS_io_uring_setup] {
        assert_eq!(on_x86_64(&program, number, [0; 6]), errno(1), "{number}");
    }
    assert_eq!(on_x86_64(&program, libc::SYS_clone3, [0; 6]), errno(38));
    assert_eq!(on_x86_64(&program, 9999, [0; 6]), errno(1));
    let namespace = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    assert_eq!(on_x86_64(&program, libc::SYS_clone, [namespace, 0, 0, 0, 0, 0]), errno(1));
    let socket = |domain: i32| [u64::from(domain.cast_unsigned()), 1, 0, 0, 0, 0];
    assert_eq!(on_x86_64(&program, libc::SYS_socket, socket(libc::AF_UNIX)), ALLOW);
    assert_eq!(on_x86_64(&program, libc::SYS_socket, socket(libc::AF_VSOCK)), errno(1));
    assert_eq!(on_x86_64(&program, libc::SYS_socket, socket(libc::AF_ALG)), errno(1));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_processors_other_ways_in_are_filtered_too() {
    const I386_READ: u32 = 3;
    const I386_MOUNT: u32 = 21;
    let program = program(None, &[]);
    assert_eq!(decide(&program, &data(I386, I386_READ, [0; 6])), ALLOW);
    assert_eq!(decide(&program, &data(I386, I386_MOUNT, [0; 6])), errno(1));
    let read = u32::try_from(libc::SYS_read).unwrap() | X32_BIT;
    let mount = u32::try_from(libc::SYS_mount).unwrap() | X32_BIT;
    assert_eq!(decide(&program, &data(X86_64, read, [0; 6])), ALLOW);
    assert_eq!(decide(&program, &data(X86_64, mount, [0; 6])), errno(1));
    const AARCH64: u32 = 0xc000_00b7;
    assert_eq!(decide(&program, &data(AARCH64, 0, [0; 6])), KILL_THREAD);
}

/// However libseccomp arranges a program, it must mean the same.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_tree_decides_as_a_list_does() {
    let resolved = default_profile(&["CAP_CHOWN".to_owned()], &Machine::current()).unwrap();
    let profile: Seccomp = serde_json::from_value(resolved).unwrap();
    let exported = |level: u32| {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        context(&profile, level).unwrap().0.export_bpf(&file).unwrap();
        read(&file).unwrap()
    };
    let (list, tree) = (exported(1), exported(BINARY_TREE));
    assert_ne!(list, tree);
    for architecture in [X86_64, I386, 0xc000_00b7] {
        for number in (0..700).chain((0..700).map(|number| number | X32_BIT)).chain([u32::MAX]) {
            for first in [0, 1, 38, 40, 0x1000_0000, 0x7e02_0000, u64::MAX] {
                let data = data(architecture, number, [first, 0, 0, 0, 0, 0]);
                let (a, b) = (decide(&list, &data), decide(&tree, &data));
                assert_eq!(a, b, "{architecture:#x} {number:#x} {first:#x}");
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn capabilities_change_what_is_allowed() {
    let program = program(None, &["CAP_SYS_ADMIN"]);
    assert_eq!(on_x86_64(&program, libc::SYS_mount, [0; 6]), ALLOW);
    let namespace = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    assert_eq!(on_x86_64(&program, libc::SYS_clone, [namespace, 0, 0, 0, 0, 0]), ALLOW);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn custom_rules_compare_arguments_and_name_their_error() {
    let profile = r#"{
        "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7,
             "args": [{"index": 0, "op": "SCMP_CMP_GT", "value": 5},
                      {"index": 0, "op": "SCMP_CMP_EQ", "value": 2}]},
            {"names": ["setpriority", "no_such_call"], "action": "SCMP_ACT_KILL_PROCESS",
             "args": [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 6, "valueTwo": 4},
                      {"index": 2, "op": "SCMP_CMP_NE", "value": 1}]},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
        ]}"#;
    let filters = Filters::default();
    let filter = filters.get(Some(profile), &[]).unwrap();
    assert_eq!(filter.flags, LOG);
    let program = read(&filter.file).unwrap();
    for (argument, decision) in [(0, ALLOW), (2, errno(7)), (5, ALLOW), (6, errno(7))] {
        let arguments = [argument, 0, 0, 0, 0, 0];
        assert_eq!(on_x86_64(&program, libc::SYS_personality, arguments), decision, "{argument}");
    }
    const KILL_PROCESS: u32 = 0x8000_0000;
    for (arguments, decision) in [
        ([5, 0, 0, 0, 0, 0], KILL_PROCESS),
        ([5, 0, 1, 0, 0, 0], ALLOW),
        ([6, 0, 0, 0, 0, 0], ALLOW),
    ] {
        assert_eq!(on_x86_64(&program, libc::SYS_setpriority, arguments), decision);
    }
}

#[test]
fn a_filter_is_made_once_for_a_set_of_capabilities() {
    let filters = Filters::default();
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let first = filters.get(None, &names(&["CAP_CHOWN", "CAP_KILL"])).unwrap();
    let again = filters.get(None, &names(&["CAP_KILL", "CAP_CHOWN"])).unwrap();
    let other = filters.get(None, &names(&["CAP_KILL"])).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(!Arc::ptr_eq(&first, &other));
}

#[test]
fn a_filter_cannot_be_changed() {
    let filters = Filters::default();
    let filter = filters.get(None, &[]).unwrap();
    assert_eq!(rustix::io::pwrite(&filter.file, &[0], 0).unwrap_err(), rustix::io::Errno::PERM);
    assert!(filter.file.as_raw_fd() > 2);
}

#[test]
fn words_that_mean_nothing_are_refused() {
    for (profile, text) in [
        (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, "unknown action"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}"#, "unknown flag"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X"]}"#, "unknown architecture"),
    ] {
        let error = Filters::default().get(Some(profile), &[]).unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
    }
}
