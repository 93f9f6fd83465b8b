//! Nushell, whose external completer is asked for every program it does not know.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap_complete::env::EnvCompleter;

pub(super) struct Nushell;

impl EnvCompleter for Nushell {
    fn name(&self) -> &'static str {
        "nushell"
    }

    fn is(&self, name: &str) -> bool {
        name == "nushell" || name == "nu"
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        program: &str,
        completer: &str,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        // Another completer that is there already goes on completing everything else.
        writeln!(
            out,
            r#"$env.config.completions.external.enable = true
$env.config.completions.external.completer = (do {{|others|
    {{|words|
        if ($words | first | path basename) == {program} {{
            with-env {{ {variable}: nushell }} {{ ^{completer} -- ...$words }} | from json
        }} else if $others != null {{
            do $others $words
        }}
    }}
}} $env.config.completions.external.completer?)"#,
            program = quoted(program),
            completer = quoted(completer),
        )
    }

    /// A list of records, as JSON.
    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        directory: Option<&Path>,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let index = words.len().saturating_sub(1);
        let candidates = clap_complete::engine::complete(command, words, index, directory)?;
        let records: Vec<_> = candidates
            .iter()
            .map(|candidate| {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                serde_json::json!({
                    "value": candidate.get_value().to_string_lossy(),
                    "description": help.lines().next().unwrap_or_default(),
                })
            })
            .collect();
        write!(out, "{}", serde_json::Value::from(records))
    }
}

/// In nushell, what is between these quotes stands for itself; `'` cannot be in it.
fn quoted(text: &str) -> String {
    if text.contains('\'') {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        format!("'{text}'")
    }
}
