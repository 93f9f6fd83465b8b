//! What each dialect is told. That shells understand it is tested with the shells themselves, in
//! `tests/it/shells.rs`.

use super::Shell;

fn all(name: &str) -> [String; 3] {
    let shell = Shell::named(name).unwrap();
    let hint = shell.hint("machine env dev").unwrap_or_default();
    [shell.set_all(&[("A", "tcp://x".to_owned())]), shell.unset_all(&["A"]), hint]
}

fn hint(comment: &str, usage: &str) -> String {
    // The blank at the end of the first line is part of the contract.
    format!("{comment} Run this command to configure your shell: \n{comment} {usage}")
}

#[test]
fn every_shell_gets_the_lines_that_scripts_expect() {
    let expected = [
        ("bash", "export A=\"tcp://x\"", "unset A", hint("#", "eval $(machine env dev)")),
        ("fish", "set -gx A \"tcp://x\";", "set -e A;", hint("#", "eval (machine env dev)")),
        (
            "powershell",
            "$Env:A = \"tcp://x\"",
            "Remove-Item Env:\\\\A",
            hint("#", "& machine env dev | Invoke-Expression"),
        ),
        (
            "cmd",
            "SET A=tcp://x",
            "SET A=",
            hint("REM", "\t@FOR /f \"tokens=*\" %i IN ('machine env dev') DO @%i"),
        ),
        ("tcsh", "setenv A \"tcp://x\";", "unsetenv A;", hint(":", "eval `machine env dev`")),
        (
            "emacs",
            "(setenv \"A\" \"tcp://x\")",
            "(setenv \"A\" nil)",
            hint(
                ";;",
                "(with-temp-buffer (shell-command \"machine env dev\" (current-buffer)) (eval-buffer))",
            ),
        ),
        (
            "elvish",
            "set-env A 'tcp://x'",
            "unset-env A",
            hint("#", "eval (machine env dev | slurp)"),
        ),
        (
            "xonsh",
            "$A = \"tcp://x\"",
            "__xonsh__.env.pop(\"A\", None)",
            hint("#", "execx($(machine env dev))"),
        ),
        ("nu", "{\"A\":\"tcp://x\"}", "[\"A\"]", String::new()),
        ("json", "{\n  \"A\": \"tcp://x\"\n}", "{\n  \"A\": null\n}", String::new()),
        ("dotenv", "A=tcp://x", "A=", String::new()),
        ("github", "A=tcp://x", "A=", String::new()),
    ];
    for (name, set, unset, hint) in expected {
        assert_eq!(all(name), [set.to_owned(), unset.to_owned(), hint], "{name}");
    }
    for posix in ["zsh", "sh", "dash", "ksh"] {
        assert_eq!(all(posix), all("bash"));
    }
}

#[test]
fn a_path_cannot_become_a_command() {
    let set = |name| Shell::named(name).unwrap().set("A", "/x/$(rm)`\"\\'");
    assert_eq!(set("sh"), r#"export A="/x/\$(rm)\`\"\\'""#);
    assert_eq!(set("fish"), r#"set -gx A "/x/\$(rm)`\"\\'";"#);
    assert_eq!(set("powershell"), "$Env:A = \"/x/`$(rm)```\"\\'\"");
    assert_eq!(set("tcsh"), "setenv A /x/\\$\\(rm\\)\\`\\\"\\\\\\';");
    assert_eq!(set("elvish"), "set-env A '/x/$(rm)`\"\\'''");
    assert_eq!(set("xonsh"), r#"$A = "/x/$(rm)`\"\\'""#);
    assert_eq!(set("dotenv"), r#"A="/x/\$(rm)\`\"\\'""#);
    assert_eq!(set("cmd"), "SET \"A=/x/$(rm)`\"\\'\"");
}

#[test]
fn a_shell_that_nobody_knows_is_not_taken_for_sh() {
    for name in ["", "rc", "bash2"] {
        assert_eq!(Shell::named(name), None);
    }
}
