//! A container's files as the daemon sees them.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ports::{ContainerFiles, FilesMount, FilesSpec, Runtime};
use engine_runtime::NamespaceRuntime;

use crate::SCRATCH;
use crate::containers::{finish, run, shell, spec};

pub(crate) async fn all(runtime: &NamespaceRuntime) {
    volumes_and_binds_are_seen_and_nothing_stays(runtime).await;
    one_file_system_serves_views_and_runs(runtime).await;
    println!("files");
}

fn files_spec(number: u8, mounts: Vec<FilesMount>) -> FilesSpec {
    let container = spec(number, &["true"]);
    FilesSpec { id: container.id, root: container.root, mounts, images: Vec::new() }
}

fn bind(source: &Path, destination: &str) -> FilesMount {
    FilesMount {
        source: source.to_str().unwrap().to_owned(),
        destination: destination.to_owned(),
        subpath: String::new(),
        read_only: false,
        required: true,
    }
}

/// Reads through the descriptor, as the store does.
fn inside(files: &Arc<dyn ContainerFiles>, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{path}", files.root().as_fd().as_raw_fd()))
}

async fn volumes_and_binds_are_seen_and_nothing_stays(runtime: &NamespaceRuntime) {
    let volume = Path::new(SCRATCH).join("volume");
    fs::create_dir_all(&volume).unwrap();
    fs::write(volume.join("kept"), "in the volume").unwrap();
    fs::write(volume.join("hosts"), "names").unwrap();
    let before = fs::read_to_string("/proc/self/mounts").unwrap();
    let locked = FilesMount { read_only: true, ..bind(&volume, "/locked") };
    let absent = FilesMount { required: false, ..bind(Path::new("/nosuch"), "/etc/absent") };
    let mounts =
        vec![bind(&volume, "/data"), locked, bind(&volume.join("hosts"), "/etc/hosts"), absent];
    let files = runtime.open_files(files_spec(30, mounts)).await.unwrap();
    assert_eq!(fs::read_to_string(inside(&files, "data/kept")).unwrap(), "in the volume");
    assert_eq!(fs::read_to_string(inside(&files, "etc/hosts")).unwrap(), "names");
    assert!(!inside(&files, "etc/absent").exists());
    fs::write(inside(&files, "data/new"), "1").unwrap();
    assert!(volume.join("new").exists());
    let refused = fs::write(inside(&files, "locked/new"), "2").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    fs::write(inside(&files, "root/own"), "1").unwrap();
    assert!(spec(30, &[]).root.upper.join("root/own").exists());
    assert_eq!(files.identity("app").unwrap(), (1000, 1000));
    assert!(files.identity("nobody-known").is_err());
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), before, "the guest sees nothing");
    assert!(!spec(30, &[]).root.merged.join("bin").exists());
    drop(files);
}

/// What is written through a view is seen by processes that start while it is open, and what
/// they write by the view: it is the same file system.
async fn one_file_system_serves_views_and_runs(runtime: &NamespaceRuntime) {
    let files = runtime.open_files(files_spec(31, Vec::new())).await.unwrap();
    let again = runtime.open_files(files_spec(31, Vec::new())).await.unwrap();
    fs::write(inside(&files, "tmp/from-outside"), "hello").unwrap();
    fs::write(inside(&again, "tmp/second"), "").unwrap();
    let script = "cat /tmp/from-outside; ls /tmp; echo back >/tmp/from-inside";
    let (code, stdout, _) = run(runtime, shell(31, script)).await;
    assert_eq!((code, stdout.as_str()), (0, "hellofrom-outside\nsecond\n"));
    assert_eq!(fs::read_to_string(inside(&files, "tmp/from-inside")).unwrap(), "back\n");
    // It can be started again while the view is still open, and a view joins one that runs.
    let id = shell(31, "").id;
    let process = runtime.create(shell(31, "read line; cat /tmp/live")).await.unwrap();
    runtime.start(&id).await.unwrap();
    drop((files, again));
    let live = runtime.open_files(files_spec(31, Vec::new())).await.unwrap();
    fs::write(inside(&live, "tmp/live"), "seen").unwrap();
    drop(live);
    assert_eq!(fs::read(spec(31, &[]).root.upper.join("tmp/live")).unwrap(), b"seen");
    runtime.kill_all(&id).await.unwrap();
    finish(runtime, process).await;
    runtime.delete(&id).await.unwrap();
}
