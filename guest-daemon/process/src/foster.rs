//! A minimal init for a container: it starts one program, hands on signals to it, reaps every
//! process that is left to it, and ends as the program ended.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::{self, Write};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::signal::{kill, sigaction, sigprocmask};
use nix::unistd::{ForkResult, Pid, execvp, fork, getpgrp, setpgid, tcsetpgrp};

use crate::reap::{next_exited, reap, shell_code};

const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Faults of this process itself, which cannot be handed on.
const FAULTS: [Signal; 7] = [
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

/// Giving the terminal away must not stop this process.
const TERMINAL_STOPS: [Signal; 2] = [Signal::SIGTTIN, Signal::SIGTTOU];

/// Runs a program and its arguments; returns the exit code for this process. To be called before
/// any thread is started.
pub fn foster(words: Vec<CString>) -> i32 {
    let Some(program) = words.first() else { return complain("no program to run", NOT_FOUND) };
    let mut handed_on = SigSet::all();
    FAULTS.into_iter().for_each(|fault| handed_on.remove(fault));
    let mut before = SigSet::empty();
    if sigprocmask(SigmaskHow::SIG_SETMASK, Some(&handed_on), Some(&mut before)).is_err() {
        return complain("cannot block signals", 1);
    }
    set(&TERMINAL_STOPS, SigHandler::SigIgn);
    match start() {
        Ok(ForkResult::Parent { child }) => serve(child, &handed_on),
        Ok(ForkResult::Child) => {
            let Err(error) = become_program(program, &words, &before);
            let code = if error == Errno::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE };
            let name = program.to_string_lossy();
            complain(&format!("exec {name} failed: {}", error.desc()), code)
        }
        Err(error) => complain(&format!("cannot fork: {}", error.desc()), 1),
    }
}

#[expect(unsafe_code, reason = "fork(2) is unsafe where there are threads")]
fn start() -> nix::Result<ForkResult> {
    // SAFETY: this process has one thread.
    unsafe { fork() }
}

/// The program leads a group of its own, and has the terminal if there is one.
fn become_program(
    program: &CString,
    words: &[CString],
    signals: &SigSet,
) -> nix::Result<Infallible> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    // There need not be a terminal.
    tcsetpgrp(io::stdin(), getpgrp()).ok();
    set(&TERMINAL_STOPS, SigHandler::SigDfl);
    // Rust ignores it, and a program inherits that.
    set(&[Signal::SIGPIPE], SigHandler::SigDfl);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(signals), None)?;
    execvp(program, words)
}

#[expect(unsafe_code, reason = "sigaction(2) is unsafe because of handlers")]
fn set(signals: &[Signal], how: SigHandler) {
    let action = SigAction::new(how, SaFlags::empty(), SigSet::empty());
    for signal in signals {
        // SAFETY: no handler is installed.
        unsafe { sigaction(*signal, &action) }.ok();
    }
}

/// Until the program has ended; returns its exit code.
fn serve(program: Pid, signals: &SigSet) -> i32 {
    loop {
        match wait_for_signal(signals) {
            Some(libc::SIGCHLD) | None => {}
            // One that nix has no name for is a real-time one.
            Some(number) => hand_on(program, number),
        }
        if let Some(code) = reap_all(program) {
            return code;
        }
    }
}

#[expect(unsafe_code, reason = "the safe wrapper knows no real-time signals")]
fn wait_for_signal(signals: &SigSet) -> Option<i32> {
    // SAFETY: the set lives until the call returns, and no information is asked for.
    let number = unsafe { libc::sigwaitinfo(signals.as_ref(), std::ptr::null_mut()) };
    (number > 0).then_some(number)
}

#[expect(unsafe_code, reason = "the safe wrapper knows no real-time signals")]
fn hand_on(program: Pid, number: i32) {
    match Signal::try_from(number) {
        // It may just have ended.
        Ok(signal) => kill(program, signal).ok(),
        Err(_) => {
            // SAFETY: the call takes no pointers.
            unsafe { libc::kill(program.as_raw(), number) };
            None
        }
    };
}

/// Takes all that have ended; the exit code if the program is among them.
fn reap_all(program: Pid) -> Option<i32> {
    let mut code = None;
    while let Ok(Some(pid)) = next_exited() {
        match reap(pid) {
            Ok(Some(status)) if pid == program.as_raw() => code = Some(shell_code(status)),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    code
}

fn complain(text: &str, code: i32) -> i32 {
    // Where there is nobody to tell it, the code has to do.
    writeln!(io::stderr(), "docker-init: {text}").ok();
    code
}
