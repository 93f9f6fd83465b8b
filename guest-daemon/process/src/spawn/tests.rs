//! What a started program finds around itself.

use std::fs::File;
use std::io::Read;

use rustix::event::{PollFd, PollFlags};
use rustix::pipe::PipeFlags;

use super::*;
use crate::{EndedBy, TerminalSize, ended_by, open_terminal, reap};

fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap()
}

fn end(child: &Child) -> EndedBy {
    let mut readable = [PollFd::new(&child.pidfd, PollFlags::IN)];
    rustix::event::poll(&mut readable, None).unwrap();
    ended_by(reap(child.pid).unwrap().unwrap())
}

fn sh(script: &str) -> Command {
    Command::new("/bin/sh").args(["sh", "-c", script]).env("PATH", "/usr/bin:/bin")
}

#[test]
fn the_exit_code_comes_back() {
    assert_eq!(end(&sh("exit 42").spawn().unwrap()), EndedBy::Exit(42));
    assert_eq!(end(&sh("kill -9 $$").spawn().unwrap()), EndedBy::Signal(9));
}

#[test]
fn a_program_that_a_real_time_signal_killed_is_seen() {
    let child = sh("kill -35 $$").spawn().unwrap();
    let mut readable = [PollFd::new(&child.pidfd, PollFlags::IN)];
    rustix::event::poll(&mut readable, None).unwrap();
    // Other tests have children too, but none of them is an error.
    assert!(crate::next_exited().unwrap().is_some());
    assert_eq!(ended_by(reap(child.pid).unwrap().unwrap()), EndedBy::Signal(35));
}

#[test]
fn a_program_that_does_not_exist_is_an_error_of_spawn() {
    let error = Command::new("/nonexistent").spawn().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn descriptors_environment_and_directory_are_those_given_and_no_others() {
    let (reader, writer) = pipe();
    // A number that neither the test nor the shell uses.
    let reader = rustix::io::fcntl_dupfd_cloexec(reader, 100).unwrap();
    let not_given = reader.as_raw_fd();
    let script = format!("test -e /proc/$$/fd/{not_given} || echo $A-$HOME-$(pwd) >&5");
    let child =
        sh(&script).env("A", "b").current_dir("/tmp").descriptor(writer, 5).spawn().unwrap();
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    end(&child);
    assert_eq!(text, "b--/tmp\n");
}

#[test]
fn descriptors_may_be_exchanged() {
    let (first_reader, first) = pipe();
    let (second_reader, second) = pipe();
    let (a, b) = (first.as_raw_fd(), second.as_raw_fd());
    // After >& a shell need not take more than one digit.
    let child = sh(&format!("printf first >/dev/fd/{b}; printf second >/dev/fd/{a}"))
        .descriptor(first, b)
        .descriptor(second, a)
        .spawn()
        .unwrap();
    let (mut one, mut two) = (String::new(), String::new());
    File::from(first_reader).read_to_string(&mut one).unwrap();
    File::from(second_reader).read_to_string(&mut two).unwrap();
    end(&child);
    assert_eq!((one.as_str(), two.as_str()), ("first", "second"));
}

#[test]
fn a_terminal_controls_the_session_and_has_the_size_asked_for() {
    let terminal = open_terminal(TerminalSize { rows: 33, columns: 111 }).unwrap();
    let child = sh("test -t 0 && test -t 2 && stty size </dev/tty")
        .controlling_terminal(&terminal.path)
        .spawn()
        .unwrap();
    drop(terminal.peer);
    let mut text = Vec::new();
    // Reading fails with EIO once the last descriptor of the other side is closed.
    drop(File::from(terminal.master).read_to_end(&mut text));
    assert_eq!(end(&child), EndedBy::Exit(0));
    assert_eq!(String::from_utf8(text).unwrap().trim(), "33 111");
}
