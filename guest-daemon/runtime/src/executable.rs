//! Finding the program a container is to run, and saying in dockerd's words why it cannot.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Why a program cannot be run. Clients find `executable file not found`, `no such file or
/// directory` and `permission denied` in the text and make exit codes of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExecutableError {
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotInPath(String),
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    Missing(String),
    #[error("exec: {0:?}: is a directory")]
    Directory(String),
    #[error("exec: {0:?}: permission denied")]
    Denied(String),
    #[error("exec: {0:?}: cannot run executable found relative to current directory")]
    Relative(String),
    #[error("exec: no command")]
    Nothing,
}

/// Looks a program up as the process that will run it sees the file system.
pub(crate) fn find(program: &str, env: &[String]) -> Result<PathBuf, ExecutableError> {
    if program.is_empty() {
        return Err(ExecutableError::Nothing);
    }
    if program.contains('/') {
        return check(Path::new(program), program).map(|()| PathBuf::from(program));
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    for directory in path.split(':').filter(|_| !path.is_empty()) {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = Path::new(directory).join(program);
        if check(&candidate, program).is_ok() {
            return if candidate.is_absolute() {
                Ok(candidate)
            } else {
                Err(ExecutableError::Relative(program.to_owned()))
            };
        }
    }
    Err(ExecutableError::NotInPath(program.to_owned()))
}

fn check(path: &Path, program: &str) -> Result<(), ExecutableError> {
    let denied = || ExecutableError::Denied(program.to_owned());
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Err(denied()),
        Err(_) => return Err(ExecutableError::Missing(program.to_owned())),
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err(ExecutableError::Directory(program.to_owned()));
    }
    let special =
        kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device();
    if special || metadata.permissions().mode() & 0o111 == 0 {
        return Err(denied());
    }
    // The mode is not all: the user may be neither owner nor in the group, the mount noexec.
    accessat(CWD, path.as_os_str().as_bytes(), Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|_| denied())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn program(dir: &Path, name: &str, mode: u32) -> String {
        let path = dir.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_first_executable_in_the_path_is_found() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        program(a.path(), "tool", 0o644);
        let right = program(b.path(), "tool", 0o755);
        let env = [format!("PATH={}:{}", a.path().display(), b.path().display())];
        assert_eq!(find("tool", &env).unwrap(), Path::new(&right));
        assert_eq!(
            find("nosuch", &env).unwrap_err().to_string(),
            r#"exec: "nosuch": executable file not found in $PATH"#
        );
        assert!(matches!(find("tool", &[]), Err(ExecutableError::NotInPath(_))));
        assert!(matches!(find("tool", &["PATH=".into()]), Err(ExecutableError::NotInPath(_))));
    }

    #[test]
    fn paths_that_cannot_be_run_say_why() {
        let dir = tempfile::tempdir().unwrap();
        let plain = program(dir.path(), "plain", 0o644);
        assert_eq!(
            find(&plain, &[]).unwrap_err().to_string(),
            format!("exec: {plain:?}: permission denied")
        );
        let missing = format!("{}/x", dir.path().display());
        assert_eq!(
            find(&missing, &[]).unwrap_err().to_string(),
            format!("exec: {missing:?}: stat {missing}: no such file or directory")
        );
        let directory = format!("{}/", dir.path().display());
        assert!(matches!(find(&directory, &[]), Err(ExecutableError::Directory(_))));
        assert_eq!(find("", &[]), Err(ExecutableError::Nothing));
    }

    #[test]
    fn programs_beside_the_working_directory_are_not_run_by_name() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), "tool", 0o755);
        let here = std::env::current_dir().unwrap();
        let up = "../".repeat(here.components().count());
        let relative = format!("{up}{}", dir.path().display().to_string().trim_start_matches('/'));
        let env = [format!("PATH={relative}")];
        assert!(matches!(find("tool", &env), Err(ExecutableError::Relative(_))));
    }
}
