//! The last step of every process: find the program and become it.

use std::ffi::CString;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use crate::executable;

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

/// Has every descriptor but the standard ones closed when the process becomes a program. All of
/// ours are so anyway; this holds for those of libraries too.
pub(crate) fn close_others_on_exec() -> std::io::Result<()> {
    const CLOSE_ON_EXEC: libc::c_uint = 4;
    close_range(CLOSE_ON_EXEC)
}

/// Closes every descriptor but the standard ones, for a process that has opened none.
pub(crate) fn close_others() -> std::io::Result<()> {
    close_range(0)
}

#[expect(unsafe_code, reason = "close_range(2) has no safe wrapper")]
fn close_range(flags: libc::c_uint) -> std::io::Result<()> {
    // SAFETY: the call takes no pointers; if it closes, the caller owns nothing that is closed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends the process at once: nothing of the program it was copied from may run.
#[expect(unsafe_code, reason = "exit without running handlers of the parent")]
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: the call takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}
