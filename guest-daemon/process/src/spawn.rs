//! Starting programs.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use nix::libc;
use rustix::process::{Pid, PidfdFlags};

/// A program to start. Nothing is inherited but what is named here: the environment begins empty
/// and every descriptor of ours is close-on-exec; signals are unblocked and at their defaults.
#[derive(Debug)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<OsString>,
    current_dir: Option<PathBuf>,
    descriptors: Vec<(OwnedFd, RawFd)>,
    session: Session,
    oom_score_adj: Option<i32>,
}

#[derive(Debug, PartialEq, Eq)]
enum Session {
    Inherited,
    New,
    WithTerminal(PathBuf),
}

/// A started child. It stays a zombie until it is reaped by pid.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    /// Becomes readable when the child has ended.
    pub pidfd: OwnedFd,
}

impl Command {
    /// `program` is a path; `$PATH` is not searched. Argument 0 is the program's path until
    /// [`Command::args`] says otherwise.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        Command {
            args: vec![program.clone().into_os_string()],
            program,
            env: Vec::new(),
            current_dir: None,
            descriptors: Vec::new(),
            session: Session::Inherited,
            oom_score_adj: None,
        }
    }

    /// All arguments, beginning with argument 0.
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds one variable to the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut variable = name.as_ref().to_owned();
        variable.push("=");
        variable.push(value);
        self.env.push(variable);
        self
    }

    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(path.into());
        self
    }

    /// Gives the child a descriptor under this number.
    pub fn descriptor(mut self, descriptor: OwnedFd, number: RawFd) -> Self {
        self.descriptors.push((descriptor, number));
        self
    }

    /// Makes the child the leader of a new session, without a terminal.
    pub fn new_session(mut self) -> Self {
        self.session = Session::New;
        self
    }

    /// Makes the child the leader of a new session with this terminal as its controlling one and
    /// as its standard streams.
    pub fn controlling_terminal(mut self, path: impl Into<PathBuf>) -> Self {
        self.session = Session::WithTerminal(path.into());
        self
    }

    /// How eagerly the kernel kills it when memory runs out, -1000 to 1000.
    pub fn oom_score_adj(mut self, score: i32) -> Self {
        self.oom_score_adj = Some(score);
        self
    }

    /// Starts it. An error of exec(2) is reported here.
    pub fn spawn(self) -> io::Result<Child> {
        let lowest_free =
            self.descriptors.iter().map(|(_, number)| number + 1).max().unwrap_or(0).max(3);
        // Copies above every wanted number, so that no dup2 in the child overwrites the source of
        // a later one.
        let mut sources = Vec::new();
        for (descriptor, number) in &self.descriptors {
            let copy = rustix::io::fcntl_dupfd_cloexec(descriptor.as_fd(), lowest_free)?;
            sources.push((copy, *number));
        }
        let pid = self.posix_spawn(&sources)?;
        if let Some(score) = self.oom_score_adj {
            // The child may have ended already, which its exit status tells better.
            drop(write_existing(
                Path::new(&format!("/proc/{pid}/oom_score_adj")),
                &score.to_string(),
            ));
        }
        let known = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
        let pidfd = rustix::process::pidfd_open(known, PidfdFlags::empty())?;
        Ok(Child { pid, pidfd })
    }

    #[expect(unsafe_code, reason = "posix_spawn has no safe wrapper with sessions and chdir")]
    fn posix_spawn(&self, sources: &[(OwnedFd, RawFd)]) -> io::Result<i32> {
        let program = c_string(self.program.as_os_str())?;
        let args = c_strings(&self.args)?;
        let env = c_strings(&self.env)?;
        let mut actions = FileActions::new()?;
        if let Some(path) = &self.current_dir {
            actions.change_directory(&c_string(path.as_os_str())?)?;
        }
        for (source, number) in sources {
            actions.duplicate(source.as_raw_fd(), *number)?;
        }
        if let Session::WithTerminal(path) = &self.session {
            // The first terminal that a session's leader opens becomes the controlling one.
            actions.open_terminal(&c_string(path.as_os_str())?)?;
        }
        let attributes = Attributes::new(self.session != Session::Inherited)?;
        let mut pid = 0;
        // SAFETY: every pointer is to a live value of this function; the argument and environment
        // lists end with a null pointer.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                pointers(&args).as_ptr(),
                pointers(&env).as_ptr(),
            )
        };
        check(error)?;
        Ok(pid)
    }
}

fn write_existing(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

fn c_strings(texts: &[OsString]) -> io::Result<Vec<CString>> {
    texts.iter().map(|text| c_string(text)).collect()
}

fn pointers(texts: &[CString]) -> Vec<*mut libc::c_char> {
    texts.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

fn check(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// What the child does between fork and exec.
struct FileActions(libc::posix_spawn_file_actions_t);

#[expect(unsafe_code, reason = "posix_spawn has no safe wrapper with sessions and chdir")]
impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: init writes the whole value when it returns 0.
        unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(FileActions(actions.assume_init()))
        }
    }

    fn change_directory(&mut self, path: &CString) -> io::Result<()> {
        // SAFETY: the actions are initialised and the path is copied.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, path.as_ptr()) })
    }

    fn duplicate(&mut self, source: RawFd, number: RawFd) -> io::Result<()> {
        // SAFETY: the actions are initialised.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, source, number) })
    }

    fn open_terminal(&mut self, path: &CString) -> io::Result<()> {
        // SAFETY: the actions are initialised and the path is copied.
        unsafe {
            check(libc::posix_spawn_file_actions_addopen(
                &raw mut self.0,
                0,
                path.as_ptr(),
                libc::O_RDWR,
                0,
            ))?;
            check(libc::posix_spawn_file_actions_adddup2(&raw mut self.0, 0, 1))?;
            check(libc::posix_spawn_file_actions_adddup2(&raw mut self.0, 0, 2))
        }
    }
}

#[expect(unsafe_code, reason = "posix_spawn has no safe wrapper with sessions and chdir")]
impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: the actions are initialised and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

#[expect(unsafe_code, reason = "posix_spawn has no safe wrapper with sessions and chdir")]
impl Attributes {
    fn new(new_session: bool) -> io::Result<Self> {
        let mut flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        if new_session {
            flags |= i32::from(libc::POSIX_SPAWN_SETSID);
        }
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        let mut attributes = MaybeUninit::uninit();
        let mut none = MaybeUninit::uninit();
        let mut all = MaybeUninit::uninit();
        // SAFETY: init writes the whole value when it returns 0; the sets are written before use.
        unsafe {
            check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Attributes(attributes.assume_init());
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigfillset(all.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, all.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(&raw mut attributes.0, flags))?;
            Ok(attributes)
        }
    }
}

#[expect(unsafe_code, reason = "posix_spawn has no safe wrapper with sessions and chdir")]
impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the attributes are initialised and not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

#[cfg(test)]
mod tests;
