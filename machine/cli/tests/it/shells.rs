//! Completion in the shells that are installed here, and manual pages in `man`: the program itself
//! is run.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_machine");

/// A storage root with the directories of two machines.
fn storage() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["machines/dev", "machines/deux", "machines/.x.creating"] {
        std::fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    directory
}

/// What a script prints in a shell; `None` if there is no such shell.
fn printed(shell: &[&str], script: &str) -> Option<String> {
    let storage = storage();
    let (program, arguments) = shell.split_first().unwrap();
    let own = Path::new(PROGRAM).parent().unwrap().display();
    let output = Command::new(program)
        .args(arguments)
        .arg(script)
        .env("PATH", format!("{own}:{}", std::env::var("PATH").unwrap()))
        .env("HOME", storage.path())
        .env("MACHINE_STORAGE_PATH", storage.path())
        .output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && complaints.is_empty(), "{program}: {complaints}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_completes_names_commands_and_flags() {
    let complete = |words: &str, last: &str| {
        let script = format!(
            "source <(machine completion bash)\n\
             complete -p machine >/dev/null || exit 1\n\
             COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9\n\
             compopt() {{ :; }}\n\
             _clap_complete_machine machine '{last}' x\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        printed(&["bash", "--norc", "-c"], &script).unwrap()
    };
    assert_eq!(complete("machine start de", "de"), "deux\ndev\n");
    assert_eq!(complete("machine rm -f dev d", "d"), "deux\ndev\n");
    assert_eq!(complete("machine unpau", "unpau"), "unpause\n");
    assert_eq!(complete("machine ls --tim", "--tim"), "--timeout\n");
    assert_eq!(complete("machine autostart o", "o"), "on\noff\n");
    assert_eq!(complete("machine create de", "de"), "\n");
}

#[test]
fn fish_completes_names() {
    let script = "machine completion fish | source; complete -C 'machine start de'";
    if let Some(seen) = printed(&["fish", "--no-config", "-c"], script) {
        assert_eq!(seen, "deux\ndev\n");
    }
}

#[test]
fn zsh_completes_names() {
    // Without a terminal there is no line to complete; what would be offered is printed.
    let script = "autoload -Uz compinit; compinit -u -D; source <(machine completion zsh)\n\
                  [[ -n $_comps[machine] ]] || exit 1\n\
                  _describe() { print -l -- ${(P)@[-1]} }\n\
                  words=(machine start de); CURRENT=3; $_comps[machine]";
    if let Some(seen) = printed(&["zsh", "-f", "-c"], script) {
        assert_eq!(seen, "deux\ndev\n");
    }
}

#[test]
fn nushell_completes_names_from_the_programs_answer() {
    let storage = storage();
    let seen = Command::new(PROGRAM)
        .args(["--", "machine", "-s", storage.path().to_str().unwrap(), "stop", "de"])
        .env("MACHINE_COMPLETE", "nushell")
        .output()
        .unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(seen[0]["value"], "deux");
    assert_eq!(seen[1]["value"], "dev");
}

#[test]
fn manual_pages_are_there_for_every_command_and_man_has_no_complaints() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    let written = Command::new(PROGRAM)
        .args(["man", pages.to_str().unwrap()])
        .env("MACHINE_STORAGE_PATH", directory.path().join("store"))
        .status();
    assert!(written.unwrap().success());
    let names: Vec<String> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for wanted in ["machine.1", "machine-create.1", "machine-snapshot-save.1", "machine-run.1"] {
        assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
    }
    for hidden in ["machine-supervise.1", "machine-remove-after.1"] {
        assert!(!names.iter().any(|name| name == hidden), "{hidden}");
    }
    for name in names {
        let shown = Command::new("man")
            .args(["--warnings", "--encoding=UTF-8", "--local-file"])
            .arg(pages.join(&name))
            .envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", "100")])
            .output();
        match shown {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            shown => {
                let complaints = String::from_utf8(shown.unwrap().stderr).unwrap();
                assert!(complaints.is_empty(), "{name}: {complaints}");
            }
        }
    }
}
