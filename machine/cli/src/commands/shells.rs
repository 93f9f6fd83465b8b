//! How each shell sets a variable, and how its user evaluates our lines.

mod quote;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use quote::{cmd, dotenv, double_quoted, elvish, posix, python, tcsh};

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
    Elvish,
    Xonsh,
    /// Nushell cannot evaluate text; it loads JSON.
    Nu,
    Json,
    /// A file of `NAME=VALUE`.
    Dotenv,
    /// Lines for the file `$GITHUB_ENV`.
    Github,
}

/// For messages.
pub(crate) const NAMES: &str = "bash, zsh, sh, fish, powershell, cmd, tcsh, emacs, nu, elvish, \
                                xonsh, json, dotenv, github";

impl Shell {
    /// By the name of its program.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.strip_suffix(".exe").unwrap_or(name) {
            "bash" | "zsh" | "sh" | "dash" | "ash" | "ksh" | "ksh93" | "mksh" | "busybox" => {
                Some(Self::Posix)
            }
            "fish" => Some(Self::Fish),
            "powershell" | "pwsh" => Some(Self::Pwsh),
            "cmd" => Some(Self::Cmd),
            "tcsh" | "csh" => Some(Self::Tcsh),
            "emacs" => Some(Self::Emacs),
            "elvish" => Some(Self::Elvish),
            "xonsh" => Some(Self::Xonsh),
            "nu" | "nushell" => Some(Self::Nu),
            "json" => Some(Self::Json),
            "dotenv" => Some(Self::Dotenv),
            "github" => Some(Self::Github),
            _ => None,
        }
    }

    /// All that has to be evaluated to set the variables.
    pub(crate) fn set_all(self, variables: &[(&str, String)]) -> String {
        let object = || {
            let fields = variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_str()));
            Value::Object(fields.map(|(name, value)| (name, value.into())).collect::<Map<_, _>>())
        };
        match self {
            Self::Json => format!("{:#}", object()),
            Self::Nu => object().to_string(),
            _ => lines(variables.iter().map(|(name, value)| self.set(name, value))),
        }
    }

    /// All that has to be evaluated to unset them.
    pub(crate) fn unset_all(self, names: &[&str]) -> String {
        match self {
            Self::Json => {
                let fields = names.iter().map(|name| ((*name).to_owned(), Value::Null));
                format!("{:#}", Value::Object(fields.collect()))
            }
            Self::Nu => Value::from(names).to_string(),
            _ => lines(names.iter().map(|name| self.unset(name))),
        }
    }

    fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Posix => format!("export {name}={}", posix(value)),
            Self::Fish => format!("set -gx {name} {};", double_quoted(value, "\\\"$", '\\')),
            Self::Pwsh => format!("$Env:{name} = {}", double_quoted(value, "`\"$", '`')),
            Self::Cmd => cmd(name, value),
            Self::Tcsh => format!("setenv {name} {};", tcsh(value)),
            Self::Emacs => format!("(setenv \"{name}\" {})", double_quoted(value, "\\\"", '\\')),
            Self::Elvish => format!("set-env {name} {}", elvish(value)),
            Self::Xonsh => xonsh(name, value),
            Self::Dotenv => format!("{name}={}", dotenv(value)),
            Self::Github | Self::Nu | Self::Json => format!("{name}={value}"),
        }
    }

    fn unset(self, name: &str) -> String {
        match self {
            Self::Posix => format!("unset {name}"),
            Self::Fish => format!("set -e {name};"),
            Self::Pwsh => format!("Remove-Item Env:\\\\{name}"),
            Self::Cmd => format!("SET {name}="),
            Self::Tcsh => format!("unsetenv {name};"),
            Self::Emacs => format!("(setenv \"{name}\" nil)"),
            Self::Elvish => format!("unset-env {name}"),
            // Unlike `del` it does not mind that there is none.
            Self::Xonsh => format!("__xonsh__.env.pop(\"{name}\", None)"),
            Self::Dotenv | Self::Github | Self::Nu | Self::Json => format!("{name}="),
        }
    }

    /// Two lines of comment that are evaluated with the others. Of what is read by programs and of
    /// JSON they would be no part.
    pub(crate) fn hint(self, command: &str) -> Option<String> {
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
            Self::Elvish => ("#", format!("eval ({command} | slurp)")),
            Self::Xonsh => ("#", format!("execx($({command}))")),
            Self::Nu | Self::Json | Self::Dotenv | Self::Github => return None,
        };
        Some(format!("{comment} Run this command to configure your shell: \n{comment} {usage}"))
    }

    /// How the output is used, where it cannot say so itself; for people at a terminal.
    pub(crate) fn usage(self, command: &str, unset: bool) -> Option<String> {
        match (self, unset) {
            (Self::Nu, false) => Some(format!("{command} | from json | load-env")),
            (Self::Nu, true) => Some(format!("hide-env -i ...({command} | from json)")),
            (Self::Github, _) => Some(format!("{command} >> \"$GITHUB_ENV\"")),
            _ => None,
        }
    }
}

/// What is called PATH is a list of paths to xonsh, in which it replaces variables.
fn xonsh(name: &str, value: &str) -> String {
    let set = format!("${name} = {}", python(value));
    if name.ends_with("PATH") && value.contains(['$', '~', ':', '%']) {
        format!("__xonsh__.env.register(\"{name}\", type=\"str\")\n{set}")
    } else {
        set
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
