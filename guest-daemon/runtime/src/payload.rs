//! The last step of every process: find the program and become it.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use crate::executable;

/// Replaces libcontainer's way: it finds programs as dockerd does and keeps the environment in its
/// order, and what is wrong it also says through a pipe, in words that are not wrapped.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) report: Arc<OwnedFd>,
}

impl Executor for Payload {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let (args, env) = command(spec);
        let program = args.first().map(String::as_str).unwrap_or_default();
        executable::find(program, env).map(drop).map_err(|error| {
            let text = error.to_string();
            // If this fails, the same text still comes as a part of libcontainer's error.
            rustix::io::write(&self.report, text.as_bytes()).ok();
            ExecutorValidationError::ArgValidationError(text)
        })
    }

    fn setup_envs(
        &self,
        _envs: std::collections::HashMap<String, String>,
    ) -> Result<(), ExecutorSetEnvsError> {
        // Given to execve(2) below.
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let (args, env) = command(spec);
        let text = become_program(args, env);
        // The container has started: its own standard error is the place where users look.
        rustix::io::write(rustix::stdio::stderr(), format!("{text}\n").as_bytes()).ok();
        Err(ExecutorError::Other(text))
    }
}

fn command(spec: &Spec) -> (&[String], &[String]) {
    let process = spec.process().as_ref();
    let args = process.and_then(|process| process.args().as_deref()).unwrap_or_default();
    let env = process.and_then(|process| process.env().as_deref()).unwrap_or_default();
    (args, env)
}

/// Becomes the program; returns only when that fails, with the reason.
pub(crate) fn become_program(args: &[String], env: &[String]) -> String {
    let program = args.first().map(String::as_str).unwrap_or_default();
    let path = match executable::find(program, env) {
        Ok(path) => path,
        Err(error) => return error.to_string(),
    };
    reset_signals();
    let strings = |texts: &[String]| -> Result<Vec<CString>, std::ffi::NulError> {
        texts.iter().map(|text| CString::new(text.as_str())).collect()
    };
    let path = path.to_string_lossy().into_owned();
    let prepared =
        CString::new(path.as_str()).and_then(|path| Ok((path, strings(args)?, strings(env)?)));
    match prepared {
        Err(_) => format!("exec {path}: a zero byte in the arguments"),
        Ok((path_c, args, env)) => match nix::unistd::execve(&path_c, &args, &env) {
            Ok(never) => match never {},
            Err(error) => format!("exec {path}: {}", reason(error)),
        },
    }
}

/// An errno as Go programs say it.
pub(crate) fn reason(error: nix::errno::Errno) -> String {
    let text = error.desc();
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}

/// Rust ignores SIGPIPE and the C library its internal signals in what it spawns, and a process
/// that ignores a signal hands that on.
#[expect(unsafe_code, reason = "the safe wrappers leave out real-time and internal signals")]
fn reset_signals() {
    const SIGNALS: libc::c_int = 64;
    const MASK_BYTES: usize = 8;
    // The kernel's `struct sigaction`; all zero is the default action.
    let default = [0_u64; 4];
    for number in 1..=SIGNALS {
        // SAFETY: the action is as large as the kernel's, no old one is asked for, and no handler
        // is installed. SIGKILL and SIGSTOP are refused, and are never ignored.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null::<libc::c_void>(),
                MASK_BYTES,
            );
        }
    }
    // It takes no argument that could be wrong.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).ok();
}

/// Ends the process at once: nothing of the program it was copied from may run.
#[expect(unsafe_code, reason = "exit without running handlers of the parent")]
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: the call takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}
