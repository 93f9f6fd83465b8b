//! How each shell sets a variable, and how its user evaluates our lines.

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    /// bash, zsh and all that speak like sh.
    Posix,
    Fish,
    Pwsh,
    Cmd,
    Tcsh,
    Emacs,
}

impl Shell {
    /// By the name of its program.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.strip_suffix(".exe").unwrap_or(name) {
            "bash" | "zsh" | "sh" | "dash" | "ash" | "ksh" | "mksh" => Some(Self::Posix),
            "fish" => Some(Self::Fish),
            "powershell" | "pwsh" => Some(Self::Pwsh),
            "cmd" => Some(Self::Cmd),
            "tcsh" | "csh" => Some(Self::Tcsh),
            "emacs" => Some(Self::Emacs),
            _ => None,
        }
    }

    pub(crate) fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Posix => format!("export {name}=\"{}\"", escape(value, "\\\"$`", '\\')),
            Self::Fish => format!("set -gx {name} \"{}\";", escape(value, "\\\"$", '\\')),
            Self::Pwsh => format!("$Env:{name} = \"{}\"", escape(value, "`\"$", '`')),
            Self::Cmd => format!("SET {name}={value}"),
            Self::Tcsh => format!("setenv {name} \"{value}\";"),
            Self::Emacs => format!("(setenv \"{name}\" \"{}\")", escape(value, "\\\"", '\\')),
        }
    }

    pub(crate) fn unset(self, name: &str) -> String {
        match self {
            Self::Posix => format!("unset {name}"),
            Self::Fish => format!("set -e {name};"),
            Self::Pwsh => format!("Remove-Item Env:\\\\{name}"),
            Self::Cmd => format!("SET {name}="),
            Self::Tcsh => format!("unsetenv {name};"),
            Self::Emacs => format!("(setenv \"{name}\" nil)"),
        }
    }

    /// Two lines of comment.
    pub(crate) fn hint(self, command: &str) -> String {
        let (comment, usage) = match self {
            Self::Posix => ("#", format!("eval $({command})")),
            Self::Fish => ("#", format!("eval ({command})")),
            Self::Pwsh => ("#", format!("& {command} | Invoke-Expression")),
            Self::Cmd => ("REM", format!("\t@FOR /f \"tokens=*\" %i IN ('{command}') DO @%i")),
            Self::Tcsh => (":", format!("eval `{command}`")),
            Self::Emacs => (
                ";;",
                format!(
                    "(with-temp-buffer (shell-command \"{command}\" (current-buffer)) \
                     (eval-buffer))"
                ),
            ),
        };
        format!("{comment} Run this command to configure your shell: \n{comment} {usage}")
    }
}

fn escape(value: &str, special: &str, with: char) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if special.contains(c) {
            escaped.push(with);
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Shell;

    fn all(name: &str) -> [String; 3] {
        let shell = Shell::named(name).unwrap();
        [shell.set("A", "tcp://x"), shell.unset("A"), shell.hint("machine env dev")]
    }

    #[test]
    fn every_shell_gets_the_lines_that_scripts_expect() {
        let hint = |comment: &str, usage: &str| {
            format!("{comment} Run this command to configure your shell: \n{comment} {usage}")
        };
        for posix in ["bash", "zsh", "sh"] {
            assert_eq!(
                all(posix),
                [
                    "export A=\"tcp://x\"".into(),
                    "unset A".into(),
                    hint("#", "eval $(machine env dev)")
                ]
            );
        }
        assert_eq!(
            all("fish"),
            [
                "set -gx A \"tcp://x\";".into(),
                "set -e A;".into(),
                hint("#", "eval (machine env dev)")
            ]
        );
        assert_eq!(
            all("powershell"),
            [
                "$Env:A = \"tcp://x\"".into(),
                "Remove-Item Env:\\\\A".into(),
                hint("#", "& machine env dev | Invoke-Expression")
            ]
        );
        assert_eq!(
            all("cmd"),
            [
                "SET A=tcp://x".into(),
                "SET A=".into(),
                hint("REM", "\t@FOR /f \"tokens=*\" %i IN ('machine env dev') DO @%i")
            ]
        );
        assert_eq!(
            all("tcsh"),
            [
                "setenv A \"tcp://x\";".into(),
                "unsetenv A;".into(),
                hint(":", "eval `machine env dev`")
            ]
        );
        assert_eq!(
            all("emacs"),
            [
                "(setenv \"A\" \"tcp://x\")".into(),
                "(setenv \"A\" nil)".into(),
                hint(
                    ";;",
                    "(with-temp-buffer (shell-command \"machine env dev\" (current-buffer)) (eval-buffer))"
                )
            ]
        );
    }

    #[test]
    fn a_path_cannot_become_a_command() {
        let set = |name| Shell::named(name).unwrap().set("A", "/x/$(rm)`\"\\");
        assert_eq!(set("sh"), r#"export A="/x/\$(rm)\`\"\\""#);
        assert_eq!(set("fish"), r#"set -gx A "/x/\$(rm)`\"\\";"#);
        assert_eq!(set("powershell"), "$Env:A = \"/x/`$(rm)```\"\\\"");
    }

    #[test]
    fn shells_with_another_syntax_are_not_taken_for_sh() {
        for name in ["nu", "elvish", "xonsh", ""] {
            assert_eq!(Shell::named(name), None);
        }
    }
}
