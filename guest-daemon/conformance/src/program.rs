//! Running programs and looking at what they did.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Runtime;

use crate::engine::LIMIT;

/// A program that is ready to run.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    input: Vec<u8>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    shown: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new(command: Command) -> Self {
        Self { command, input: Vec::new() }
    }

    /// What it finds on its standard input.
    pub(crate) fn with_input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Runs it to its end, not for ever.
    pub(crate) fn run(self, runtime: &Runtime) -> Result<Finished> {
        let shown = format!("{:?}", self.command);
        let ended = runtime.block_on(async {
            let mut command = tokio::process::Command::from(self.command);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.kill_on_drop(true).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // A program that ends early closes its input; its exit code tells more than our error.
                tokio::spawn(async move { drop(stdin.write_all(&self.input).await) });
            }
            anyhow::Ok(tokio::time::timeout(LIMIT, child.wait_with_output()).await??)
        });
        let output = ended.with_context(|| shown.clone())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Finished {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            shown,
        })
    }
}

impl Finished {
    /// Standard output without its last newline; fails unless the program succeeded.
    pub(crate) fn text(&self) -> Result<String> {
        ensure!(self.code == 0, "{self}");
        Ok(self.stdout.trim_end_matches('\n').to_owned())
    }

    /// Fails unless it ended with this code and these words on standard error.
    pub(crate) fn fails(&self, code: i32, words: &str) -> Result<()> {
        ensure!(
            self.code == code && self.stderr.contains(words),
            "wanted {code} and {words:?}: {self}"
        );
        Ok(())
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shown, code, stdout, stderr } = self;
        write!(f, "{shown} ended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Runs one of the scripts that print where something is.
pub(crate) fn script(name: &str, words: &[&str]) -> Result<PathBuf> {
    let path = workspace().join("scripts").join(name);
    let output = Command::new(&path)
        .args(words)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| path.display().to_string())?;
    if !output.status.success() {
        bail!("{} failed", path.display());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// The top of the checkout.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
