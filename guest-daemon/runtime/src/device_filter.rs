//! Which device nodes a container may use: a BPF program on its cgroup.
//!
//! The kernel asks the program at every open and mknod of a device; it sees the kind of access,
//! the kind of device, and its numbers.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use nix::libc;

pub(crate) const MKNOD: u16 = 1;
pub(crate) const READ: u16 = 2;
pub(crate) const WRITE: u16 = 4;
const ALL: u16 = MKNOD | READ | WRITE;

/// Kinds of device nodes, with the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Block = 1,
    Character = 2,
}

/// One allowance; what no rule allows is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) kind: DeviceKind,
    /// None is every one.
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
    pub(crate) access: u16,
}

const fn character(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: DeviceKind::Character, major: Some(major), minor, access: ALL }
}

/// What Docker allows by default: making every node, using the harmless ones.
pub(crate) const DEFAULT_RULES: [Rule; 11] = [
    Rule { kind: DeviceKind::Character, major: None, minor: None, access: MKNOD },
    Rule { kind: DeviceKind::Block, major: None, minor: None, access: MKNOD },
    character(1, Some(3)), // null
    character(1, Some(5)), // zero
    character(1, Some(7)), // full
    character(1, Some(8)), // random
    character(1, Some(9)), // urandom
    character(5, Some(0)), // tty
    character(5, Some(1)), // console
    character(5, Some(2)), // ptmx
    character(136, None),  // pts
];

/// One instruction as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbf;
const MOVE: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: from << 4 | to, offset, immediate }
}

/// The program that allows what the rules allow.
pub(crate) fn program(rules: &[Rule]) -> Vec<Instruction> {
    // r1 points to { access << 16 | kind, major, minor }.
    let mut program = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE_REGISTER, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let mut conditions = vec![(2, rule.kind as i32)];
        conditions.extend(rule.major.map(|major| (4, major.cast_signed())));
        conditions.extend(rule.minor.map(|minor| (5, minor.cast_signed())));
        let mut block = Vec::new();
        if rule.access != ALL {
            block.push(instruction(MOVE_REGISTER, 0, 3, 0, 0));
            block.push(instruction(AND, 0, 0, 0, i32::from(ALL & !rule.access)));
            conditions.push((0, 0));
        }
        let count = conditions.len();
        for (at, (register, value)) in conditions.into_iter().enumerate() {
            // Over the conditions that are left and the two instructions that allow.
            let skip = i16::try_from(count - at - 1 + 2).unwrap_or(i16::MAX);
            block.push(instruction(JUMP_NOT_EQUAL, register, 0, skip, value));
        }
        block.push(instruction(MOVE, 0, 0, 0, 1));
        block.push(instruction(EXIT, 0, 0, 0, 0));
        program.extend(block);
    }
    program.push(instruction(MOVE, 0, 0, 0, 0));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    program
}

/// The default rules as a program of the kernel's, loaded when it is first needed: the kernel
/// takes longer to check and translate it than to attach it.
#[derive(Debug, Default)]
pub(crate) struct DeviceFilter(OnceLock<OwnedFd>);

impl DeviceFilter {
    /// Attaches the default rules, and `more`, to a cgroup; they hold until it is removed.
    pub(crate) fn attach(&self, cgroup: &Path, more: &[Rule]) -> io::Result<()> {
        let directory = std::fs::File::open(cgroup)?;
        if !more.is_empty() {
            let loaded = load(&program(&[&DEFAULT_RULES, more].concat()))?;
            return attach_loaded(directory.as_fd().as_raw_fd(), loaded.as_raw_fd());
        }
        let loaded = match self.0.get() {
            Some(loaded) => loaded,
            None => {
                let loaded = load(&program(&DEFAULT_RULES))?;
                // If another thread was faster, its program is the same.
                self.0.get_or_init(|| loaded)
            }
        };
        attach_loaded(directory.as_fd().as_raw_fd(), loaded.as_raw_fd())
    }
}

/// The beginning of `union bpf_attr` for loading; the kernel takes the rest as zero.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    const PROG_LOAD: libc::c_int = 5;
    const CGROUP_DEVICE: u32 = 15;
    let license = c"Apache-2.0";
    let attributes = LoadAttributes {
        program_type: CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes, the program and the license live until the call returns, and the
    // sizes are theirs. The kernel makes the descriptor close-on-exec.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attributes, size_of_val(&attributes))
    };
    let descriptor = i32::try_from(check(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
fn attach_loaded(cgroup: i32, program: i32) -> io::Result<()> {
    const PROG_ATTACH: libc::c_int = 8;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;
    let attributes = AttachAttributes {
        target: cgroup.cast_unsigned(),
        program: program.cast_unsigned(),
        attach_type: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the attributes live until the call returns, and the size is theirs.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attributes, size_of_val(&attributes))
    };
    check(result).map(drop)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn allows(
        program: &[Instruction],
        kind: DeviceKind,
        access: u16,
        major: u32,
        minor: u32,
    ) -> bool {
        let context = [u32::from(access) << 16 | kind as u32, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0;
        loop {
            let Instruction { code, registers: pair, offset, immediate } = program[at];
            let (to, from) = ((pair & 15) as usize, (pair >> 4) as usize);
            let value = i64::from(immediate).cast_unsigned();
            at += 1;
            match code {
                LOAD_WORD => {
                    assert_eq!(from, 1, "only the context is read");
                    registers[to] = u64::from(context[usize::try_from(offset).unwrap() / 4]);
                }
                MOVE_REGISTER => registers[to] = registers[from],
                MOVE => registers[to] = value,
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] >>= value,
                JUMP_NOT_EQUAL if registers[to] != value => {
                    at += usize::try_from(offset).unwrap();
                }
                JUMP_NOT_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn harmless_devices_may_be_used_and_others_only_made() {
        use DeviceKind::{Block, Character};
        let program = program(&DEFAULT_RULES);
        for (major, minor) in
            [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, 0), (136, 77)]
        {
            assert!(allows(&program, Character, READ | WRITE, major, minor), "{major}:{minor}");
            assert!(allows(&program, Character, MKNOD, major, minor));
        }
        for (kind, major, minor) in [
            (Character, 1, 1),
            (Character, 1, 4),
            (Character, 10, 200),
            (Block, 254, 0),
            (Block, 1, 3),
        ] {
            assert!(!allows(&program, kind, READ, major, minor), "{kind:?} {major}:{minor}");
            assert!(!allows(&program, kind, WRITE, major, minor));
            assert!(!allows(&program, kind, READ | MKNOD, major, minor));
            assert!(allows(&program, kind, MKNOD, major, minor));
        }
    }

    #[test]
    fn without_rules_nothing_is_allowed() {
        assert!(!allows(&program(&[]), DeviceKind::Character, READ, 1, 3));
    }

    #[test]
    fn instructions_are_eight_bytes() {
        assert_eq!(size_of::<Instruction>(), 8);
    }
}
