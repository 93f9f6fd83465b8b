//! What is offered where. How real shells take it is tested with the program itself.

use std::ffi::OsString;

use clap_complete::env::EnvCompleter as _;

use super::names::{Which, found};
use super::*;

#[test]
fn machines_are_directories_and_stop_is_for_those_that_run() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b", "a", ".c.creating"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    std::fs::write(directory.path().join(".a.lock"), "").unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    assert_eq!(found(directory.path(), Which::All), ["a", "b"]);
    assert_eq!(found(directory.path(), Which::Running), ["a", "b"]);
    std::fs::write(directory.path().join("b/vm.json"), "").unwrap();
    assert_eq!(found(directory.path(), Which::Running), ["b"]);
    assert!(found(&directory.path().join("none"), Which::All).is_empty());
}

#[test]
fn every_command_about_machines_offers_their_names_and_create_does_not() {
    let mut command = command();
    command.build();
    let offers = |name: &str| {
        let command = command.find_subcommand(name).unwrap();
        command.get_positionals().any(|argument| argument.get::<ArgValueCandidates>().is_some())
    };
    for name in ["start", "stop", "rm", "env", "exec", "rename", "clone", "console", "inspect"] {
        assert!(offers(name), "{name}");
    }
    for name in ["create", "ls", "run", "completion"] {
        assert!(!offers(name), "{name}");
    }
}

#[test]
fn nushell_gets_records() {
    let mut out = Vec::new();
    let words = ["machine", "completio"].map(OsString::from).to_vec();
    Nushell.write_complete(&mut command(), words, None, &mut out).unwrap();
    let records: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(records[0]["value"], "completion");
    assert!(!records[0]["description"].as_str().unwrap().is_empty());
}

#[test]
fn scripts_name_the_program_and_the_variable() {
    for shell in ["bash", "elvish", "fish", "nushell", "powershell", "zsh"] {
        let script = script(shell, "docker-machine", Path::new("/opt/a b/machine")).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("docker-machine"), "{shell}");
        assert!(script.contains("/opt/a b/machine"), "{shell}");
        assert!(script.contains(VARIABLE), "{shell}");
    }
}
