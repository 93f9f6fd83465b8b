//! `--init`: this program once more, as the first process of a container.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;

/// Where it is in the container, and what it is called as.
pub(crate) const PATH: &str = "/sbin/docker-init";

/// What stands between its own name and the program.
pub(crate) const SEPARATOR: &str = "--";

/// Whether a program called by this name is to be a container's init.
pub fn is_container_init(name: &OsStr) -> bool {
    Path::new(name).file_name() == Path::new(PATH).file_name()
}

/// Its body, with the program and its arguments after [`SEPARATOR`]. To be called before any
/// thread is started.
pub fn container_init(words: impl Iterator<Item = OsString>) -> ExitCode {
    // The kernel ends every argument with a zero byte, so none is inside.
    let words = words.filter_map(|word| CString::new(word.into_vec()).ok()).collect();
    let code = guest_process::foster(words);
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
