//! Containers on a real kernel, in namespaces of this process's own: needs root, a static busybox
//! and cgroup v2.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a failed step is a failed test")]

mod containers;
mod files;
mod images;
mod init;
mod isolation;
mod resources;
mod scenarios;

use std::path::Path;
use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;

/// Where the scenarios keep images and state.
const SCRATCH: &str = "/run/machine";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|role| role == "runtime") {
        return engine_runtime::role_main(args);
    }
    prctl::set_child_subreaper(true).unwrap();
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    for (kind, target) in [("tmpfs", "/run"), ("cgroup2", "/sys/fs/cgroup")] {
        mount(Some(kind), target, Some(kind), MsFlags::empty(), None::<&str>).unwrap();
    }
    // As in the guest.
    let shared = MsFlags::MS_REC | MsFlags::MS_SHARED;
    mount(None::<&str>, "/", None::<&str>, shared, None::<&str>).unwrap();
    make_image(&Path::new(SCRATCH).join("image"));
    let init = init::Init::serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(scenarios::all(init));
    ExitCode::SUCCESS
}

fn make_image(root: &Path) {
    for directory in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::copy("/usr/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in [
        "sh", "cat", "id", "sleep", "ls", "stty", "tty", "env", "mknod", "head", "grep",
        "hostname", "unshare", "tr", "tail", "cut", "readlink", "wc", "stat", "kill", "true",
        "pwd", "df", "mount", "umount",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
    std::fs::write(root.join("etc/passwd"), passwd).unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\nextra:x:50:app\n").unwrap();
    std::fs::write(root.join("bin/garbage"), "\x7fELFgarbage").unwrap();
    std::fs::set_permissions(
        root.join("bin/garbage"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
}
