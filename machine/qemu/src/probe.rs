//! Finds QEMU and what it can do.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arguments::SANDBOX;
use crate::spec::{Architecture, Features};

/// The oldest QEMU whose behaviour this crate relies on.
pub const OLDEST: Version = Version { major: 7, minor: 2, micro: 0 };

/// Printing a version takes 20 ms.
const BOUND: Duration = Duration::from_secs(10);

/// A usable QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub program: PathBuf,
    pub version: Version,
    pub features: Features,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub micro: u32,
}

/// Why there is no usable QEMU.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{program} was not found")]
    Missing { program: String },
    #[error("QEMU {found} is too old, {OLDEST} or newer is needed")]
    TooOld { found: Version },
    #[error("{program} did not tell its version")]
    NoVersion { program: String },
    #[error("cannot run {program}")]
    NotRunnable {
        program: String,
        #[source]
        source: std::io::Error,
    },
}

/// The program to use: `MACHINE_QEMU`, or `qemu-system-<architecture>` in `PATH`.
pub fn locate(architecture: Architecture) -> Result<PathBuf, ProbeError> {
    let name = format!("qemu-system-{}", architecture.name());
    let wanted = std::env::var_os("MACHINE_QEMU").filter(|value| !value.is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    locate_in(&name, wanted.as_deref(), &path)
}

fn locate_in(name: &str, wanted: Option<&OsStr>, path: &OsStr) -> Result<PathBuf, ProbeError> {
    let candidates: Vec<PathBuf> = match wanted {
        Some(program) => vec![program.into()],
        None => std::env::split_paths(path).map(|folder| folder.join(name)).collect(),
    };
    let executable = |candidate: &PathBuf| {
        candidate
            .metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let program = wanted.map_or_else(|| name.to_owned(), |program| program.display().to_string());
    candidates.into_iter().find(executable).ok_or(ProbeError::Missing { program })
}

/// What changes when another QEMU is installed at the same path.
pub fn identity(program: &Path) -> Option<String> {
    let program = program.canonicalize().ok()?;
    let file = program.metadata().ok()?;
    let (size, time, inode) = (file.len(), file.mtime(), file.ino());
    Some(format!("{} {size} {time}.{} {inode}", program.display(), file.mtime_nsec()))
}

/// Asks the program for its version and features, and refuses an old one.
pub async fn probe(program: &Path) -> Result<Found, ProbeError> {
    let mut sandbox = false;
    let mut output = None;
    if cfg!(target_os = "linux") {
        // A QEMU without seccomp ends with an error at the first of these.
        let tried = run(program, &["-sandbox", SANDBOX, "-version"]).await?;
        sandbox = tried.status.success();
        output = sandbox.then_some(tried);
    }
    let output = match output {
        Some(output) => output,
        None => run(program, &["-version"]).await?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = parse_version(&text)
        .ok_or_else(|| ProbeError::NoVersion { program: program.display().to_string() })?;
    if version < OLDEST {
        return Err(ProbeError::TooOld { found: version });
    }
    let folders = run(program, &["-L", "help"]).await?;
    let qboot = String::from_utf8_lossy(&folders.stdout)
        .lines()
        .any(|folder| Path::new(folder.trim()).join("qboot.rom").is_file());
    Ok(Found { program: program.to_owned(), version, features: Features { sandbox, qboot } })
}

async fn run(program: &Path, arguments: &[&str]) -> Result<Output, ProbeError> {
    let failed =
        |source| ProbeError::NotRunnable { program: program.display().to_string(), source };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(BOUND, child).await {
        Ok(output) => output.map_err(failed),
        Err(_) => Err(failed(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Reads `QEMU emulator version 7.2.22 (Debian …)`.
fn parse_version(text: &str) -> Option<Version> {
    text.split_whitespace().skip_while(|word| *word != "version").nth(1)?.parse().ok()
}

impl FromStr for Version {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A release candidate is written 9.2.0-rc1.
        let digits = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or("");
        let mut numbers = digits.split('.').map(str::parse);
        let major = numbers.next().unwrap_or(Ok(0))?;
        let minor = numbers.next().unwrap_or(Ok(0))?;
        let micro = numbers.next().unwrap_or(Ok(0))?;
        Ok(Self { major, minor, micro })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Option<String> {
        parse_version(text).map(|version| version.to_string())
    }

    #[test]
    fn versions_are_read_as_distributions_print_them() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright";
        assert_eq!(version(debian).as_deref(), Some("7.2.22"));
        assert_eq!(version("QEMU emulator version 9.2.0-rc1").as_deref(), Some("9.2.0"));
        assert_eq!(version("QEMU emulator version 10.1 (x)").as_deref(), Some("10.1.0"));
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!("10.0.0".parse::<Version>().unwrap() > OLDEST);
        assert!("7.1.9".parse::<Version>().unwrap() < OLDEST);
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = locate_in("qemu-system-x86_64", None, folder.path().as_os_str()).unwrap_err();
        assert_eq!(error.to_string(), "qemu-system-x86_64 was not found");
        let error = locate_in("x", Some(OsStr::new("/no/qemu")), OsStr::new("")).unwrap_err();
        assert_eq!(error.to_string(), "/no/qemu was not found");
    }

    #[tokio::test]
    async fn an_old_qemu_is_refused_with_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("qemu");
        std::fs::write(&program, "#!/bin/sh\necho QEMU emulator version 6.2.0\n").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let error = probe(&program).await.unwrap_err();
        assert_eq!(error.to_string(), "QEMU 6.2.0 is too old, 7.2.0 or newer is needed");
    }
}
