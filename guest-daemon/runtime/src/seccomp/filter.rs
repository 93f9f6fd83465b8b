//! System call filters as programs for the kernel: made once for a profile and a set of
//! capabilities, then kept.
//!
//! Making one takes libseccomp longer than everything else that starts a container.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use libseccomp::error::SeccompError;
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use nix::libc;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};
use rustix::io::pread;
use serde::Deserialize;

use super::{Machine, ProfileError, custom_profile, default_profile};

/// More different profiles than these are not kept.
const KEPT: usize = 64;

/// How libseccomp arranges a program: as a tree instead of a list, because the kernel tries every
/// system call on it when it is set.
const BINARY_TREE: u32 = 2;

const SPECULATION_ALLOWED: u32 = 1 << 2;
const LOG: u32 = 1 << 1;

/// A program in a file that nobody can change.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) file: OwnedFd,
    /// Those of seccomp(2).
    pub(crate) flags: u32,
}

/// A profile's text, none for the default one, and the capabilities in order.
type Key = (Option<String>, Vec<String>);

/// The filters made so far.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<BTreeMap<Key, Arc<Filter>>>);

impl Filters {
    /// The filter of a profile in Docker's form, or of the default one, for these capabilities.
    pub(crate) fn get(
        &self,
        profile: Option<&str>,
        capabilities: &[String],
    ) -> Result<Arc<Filter>, ProfileError> {
        let mut names = capabilities.to_vec();
        names.sort();
        let key = (profile.map(str::to_owned), names);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = known().get(&key) {
            return Ok(Arc::clone(filter));
        }
        let machine = Machine::current();
        let resolved = match profile {
            None => default_profile(capabilities, &machine)?,
            Some(text) => custom_profile(text, capabilities, &machine)?,
        };
        let profile = serde_json::from_value(resolved).map_err(ProfileError::Malformed)?;
        // Without the lock: if somebody else makes the same one meanwhile, that does no harm.
        let filter = Arc::new(compile(&profile)?);
        let mut known = known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, Arc::clone(&filter));
        Ok(filter)
    }
}

/// OCI's form of a profile.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seccomp {
    default_action: String,
    default_errno_ret: Option<i32>,
    architectures: Vec<String>,
    flags: Vec<String>,
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    errno_ret: Option<i32>,
    #[serde(default)]
    args: Vec<Argument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    value_two: u64,
    op: String,
}

/// Makes the program.
fn compile(profile: &Seccomp) -> Result<Filter, ProfileError> {
    let (context, flags) = context(profile, BINARY_TREE)?;
    let file = memfd_create("seccomp", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|error| ProfileError::Export(error.into()))?;
    context.export_bpf(&file)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals).map_err(|error| ProfileError::Export(error.into()))?;
    Ok(Filter { file, flags })
}

/// A profile as libseccomp has it, and the flags it is to be set with.
fn context(profile: &Seccomp, level: u32) -> Result<(ScmpFilterContext, u32), ProfileError> {
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let mut context = ScmpFilterContext::new(default)?;
    context.set_ctl_optimize(level)?;
    let mut flags = 0;
    for flag in &profile.flags {
        flags |= match flag.as_str() {
            "SECCOMP_FILTER_FLAG_LOG" => LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => SPECULATION_ALLOWED,
            // About other threads, of which there are none, and about notifications.
            "SECCOMP_FILTER_FLAG_TSYNC" | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => 0,
            _ => return Err(ProfileError::Unknown("flag", flag.clone())),
        };
    }
    for name in &profile.architectures {
        let architecture = ScmpArch::from_str(name)
            .map_err(|_| ProfileError::Unknown("architecture", name.clone()))?;
        context.add_arch(architecture)?;
    }
    for rule in &profile.syscalls {
        let action = action(&rule.action, rule.errno_ret)?;
        // That is what happens anyway, and libseccomp takes no such rule.
        if action != default {
            add(&mut context, rule, action)?;
        }
    }
    Ok((context, flags))
}

fn add(
    context: &mut ScmpFilterContext,
    rule: &Rule,
    action: ScmpAction,
) -> Result<(), ProfileError> {
    let comparisons = rule.args.iter().map(comparison).collect::<Result<Vec<_>, ProfileError>>()?;
    let mut indices: Vec<u32> = rule.args.iter().map(|argument| argument.index).collect();
    indices.sort_unstable();
    // One rule can look at each argument only once; as with runc, several looks at one are
    // several rules.
    let separate = indices.windows(2).any(|pair| pair[0] == pair[1]);
    for name in &rule.names {
        // What libseccomp does not know, the kernel hardly does, and the default is for it.
        let Ok(call) = ScmpSyscall::from_name(name) else { continue };
        if comparisons.is_empty() {
            context.add_rule(action, call)?;
        } else if separate {
            for comparison in &comparisons {
                context.add_rule_conditional(action, call, std::slice::from_ref(comparison))?;
            }
        } else {
            context.add_rule_conditional(action, call, &comparisons)?;
        }
    }
    Ok(())
}

fn comparison(argument: &Argument) -> Result<ScmpArgCompare, ProfileError> {
    let Argument { index, value, value_two, .. } = *argument;
    let (operator, datum) = match argument.op.as_str() {
        "SCMP_CMP_NE" => (ScmpCompareOp::NotEqual, value),
        "SCMP_CMP_LT" => (ScmpCompareOp::Less, value),
        "SCMP_CMP_LE" => (ScmpCompareOp::LessOrEqual, value),
        "SCMP_CMP_EQ" => (ScmpCompareOp::Equal, value),
        "SCMP_CMP_GE" => (ScmpCompareOp::GreaterEqual, value),
        "SCMP_CMP_GT" => (ScmpCompareOp::Greater, value),
        "SCMP_CMP_MASKED_EQ" => (ScmpCompareOp::MaskedEqual(value), value_two),
        other => return Err(ProfileError::Unknown("comparison", other.to_owned())),
    };
    Ok(ScmpArgCompare::new(index, operator, datum))
}

fn action(name: &str, errno: Option<i32>) -> Result<ScmpAction, ProfileError> {
    let errno = errno.unwrap_or(libc::EPERM);
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => ScmpAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => ScmpAction::KillProcess,
        "SCMP_ACT_TRAP" => ScmpAction::Trap,
        "SCMP_ACT_ERRNO" => ScmpAction::Errno(errno),
        "SCMP_ACT_TRACE" => ScmpAction::Trace(u16::try_from(errno).unwrap_or(u16::MAX)),
        "SCMP_ACT_LOG" => ScmpAction::Log,
        "SCMP_ACT_ALLOW" => ScmpAction::Allow,
        // Nobody would listen to notifications, so SCMP_ACT_NOTIFY is none either.
        _ => return Err(ProfileError::Unknown("action", name.to_owned())),
    })
}

impl From<SeccompError> for ProfileError {
    fn from(error: SeccompError) -> Self {
        Self::Refused(error)
    }
}

/// One instruction as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(super) code: u16,
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) operand: u32,
}

/// Reads a program from a filter's file.
pub(crate) fn read(file: &OwnedFd) -> io::Result<Vec<Instruction>> {
    let length = usize::try_from(fstat(file)?.st_size).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    // At a position, because everybody who has the file shares the one it remembers.
    let mut filled = 0;
    while filled < length {
        match pread(file, &mut bytes[filled..], filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    let instruction = |bytes: &[u8]| Instruction {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        if_true: bytes[2],
        if_false: bytes[3],
        operand: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    Ok(bytes.chunks_exact(size_of::<Instruction>()).map(instruction).collect())
}

/// The kernel's `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Has this process filtered from here on. It must have CAP_SYS_ADMIN, or have promised to gain no
/// new privileges.
#[expect(unsafe_code, reason = "seccomp(2) has no safe wrapper")]
pub(crate) fn install(program: &[Instruction], flags: u32) -> io::Result<()> {
    const SET_MODE_FILTER: libc::c_uint = 1;
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = Program { length, instructions: program.as_ptr() };
    // SAFETY: the program and its instructions live until the call returns; the length is theirs.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
