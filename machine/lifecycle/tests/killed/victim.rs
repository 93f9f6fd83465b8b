//! A process that is killed when it has changed its files often enough.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::operations::carry_out;
use crate::setting::Setting;

/// More changes than any operation makes.
const MANY: usize = 400;

/// How often a kill that came too late is tried again: some operations end right after a change.
const TRIES: usize = 20;

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    /// It came to its end in the moment in which it was to be killed.
    TooLate,
    /// It came to its end before that many changes.
    Ended,
}

/// Runs an operation again and again, each time killing it one change later, until it comes to its
/// end, and checks what each left.
pub(crate) fn kill_at_every_change(
    operation: &str,
    prepare: impl Fn() -> Setting,
    check: impl Fn(&Setting),
) {
    for changes in 1..MANY {
        let mut fate = Fate::TooLate;
        for _ in 0..TRIES {
            let setting = prepare();
            fate = run(operation, &setting, changes);
            check(&setting);
            if fate != Fate::TooLate {
                break;
            }
        }
        if fate == Fate::Ended {
            assert!(changes > 1, "{operation} changes nothing");
            return;
        }
    }
    panic!("{operation} never came to its end");
}

fn run(operation: &str, setting: &Setting, changes: usize) -> Fate {
    let mut watch = Watch::new(&setting.directory.path().join("store"));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim::victim", "--nocapture"])
        .env("VICTIM_OPERATION", operation)
        .env("VICTIM_DIRECTORY", setting.directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let reached = watch.wait(&child, changes);
    if reached {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(reached || status.success(), "{operation}: {status}");
    match (reached, status.success()) {
        (true, false) => Fate::Killed,
        (true, true) => Fate::TooLate,
        (false, _) => Fate::Ended,
    }
}

/// Not a rule of its own: the process that [`run`] kills. Does nothing when run as a test.
#[test]
fn victim() {
    let (Ok(operation), Ok(directory)) =
        (std::env::var("VICTIM_OPERATION"), std::env::var("VICTIM_DIRECTORY"))
    else {
        return;
    };
    crate::block_on(carry_out(&operation, Path::new(&directory)));
}

/// Counts what happens in a directory and those below it.
struct Watch {
    queue: OwnedFd,
    directories: HashMap<i32, PathBuf>,
}

impl Watch {
    fn new(root: &Path) -> Self {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let mut watch = Self { queue, directories: HashMap::new() };
        watch.add(root.to_owned());
        watch
    }

    /// A directory that has gone already is not watched.
    fn add(&mut self, directory: PathBuf) {
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB;
        let Ok(number) = inotify::add_watch(&self.queue, &directory, changes) else { return };
        let below = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let below: Vec<_> = below.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        self.directories.insert(number, directory);
        below.into_iter().for_each(|directory| self.add(directory));
    }

    /// Whether there were that many changes by the time at which the process came to its end.
    fn wait(&mut self, child: &Child, changes: usize) -> bool {
        let id = rustix::process::Pid::from_child(child);
        let process =
            rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).unwrap();
        let mut seen = 0;
        loop {
            let mut ready = [
                rustix::event::PollFd::new(&self.queue, rustix::event::PollFlags::IN),
                rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN),
            ];
            rustix::event::poll(&mut ready, None).unwrap();
            let ended = !ready[1].revents().is_empty();
            seen += self.read();
            if seen >= changes {
                return true;
            }
            if ended {
                return false;
            }
        }
    }

    fn read(&mut self) -> usize {
        let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
        let mut made = Vec::new();
        let mut count = 0;
        let mut reader = Reader::new(&self.queue, &mut buffer);
        while let Ok(event) = reader.next() {
            count += 1;
            let Some(name) = event.file_name().and_then(|name| name.to_str().ok()) else {
                continue;
            };
            let arrived = ReadFlags::CREATE | ReadFlags::MOVED_TO;
            if event.events().contains(ReadFlags::ISDIR)
                && event.events().intersects(arrived)
                && let Some(parent) = self.directories.get(&event.wd())
            {
                made.push(parent.join(name));
            }
        }
        made.into_iter().for_each(|directory| self.add(directory));
        count
    }
}
