//! Images that are mounted into containers beside their own.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use engine::error::Kind;
use engine::ports::{ContainerSpec, FilesMount, FilesSpec, ImageFiles, Mount, Runtime, UserMap};
use engine_runtime::NamespaceRuntime;

use crate::SCRATCH;
use crate::containers::{run, shell};

pub(crate) async fn all(runtime: &NamespaceRuntime) {
    make_layers();
    for users in [None, Some(UserMap { first: 100_000, count: 65_536 })] {
        layers_are_one_read_only_file_system(runtime, users).await;
    }
    parts_stay_inside(runtime).await;
    copying_sees_the_same(runtime).await;
    println!("images");
}

fn layer(number: u8) -> std::path::PathBuf {
    Path::new(SCRATCH).join("image-layers").join(number.to_string())
}

fn make_layers() {
    fs::create_dir_all(layer(0).join("sub/deep")).unwrap();
    fs::create_dir_all(layer(1).join("sub")).unwrap();
    fs::write(layer(0).join("sub/below"), "below").unwrap();
    fs::write(layer(0).join("sub/both"), "below").unwrap();
    fs::write(layer(1).join("sub/both"), "above").unwrap();
    chown(layer(1).join("sub/both"), Some(7), Some(7)).unwrap();
    symlink("../sub", layer(0).join("sub/good")).unwrap();
    symlink("/sub", layer(0).join("absolute")).unwrap();
    symlink("../../../../../run", layer(0).join("out")).unwrap();
}

/// With an image of so many layers at `/tool`.
fn with_image(number: u8, script: &str, layers: u8, subpath: &str) -> ContainerSpec {
    let mut spec = shell(number, script);
    let place = spec.root.merged.with_file_name("images").join("0");
    spec.images = vec![ImageFiles { layers: (0..layers).rev().map(layer).collect(), place }];
    spec.mounts = vec![Mount {
        source: spec.images[0].place.to_str().unwrap().to_owned(),
        destination: "/tool".into(),
        kind: "bind".into(),
        options: ["rbind", "rprivate", "rro"].map(String::from).to_vec(),
        subpath: subpath.to_owned(),
        ..Mount::default()
    }];
    spec
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}

async fn layers_are_one_read_only_file_system(runtime: &NamespaceRuntime, users: Option<UserMap>) {
    let before = mounts();
    let script = "cat /tool/sub/below /tool/sub/both; stat -c %u /tool/sub/both; \
                  (echo >/tool/x) 2>&1; mount -o remount,rw /tool 2>/dev/null; ls /tool";
    let spec = ContainerSpec { users, ..with_image(40, script, 2, "") };
    let (_, stdout, _) = run(runtime, spec).await;
    let expected =
        "belowabove7\nsh: can't create /tool/x: Read-only file system\nabsolute\nout\nsub\n";
    assert_eq!(stdout, expected, "{users:?}");
    for layers in [0, 1] {
        let spec = ContainerSpec { users, ..with_image(41, "ls /tool | wc -l", layers, "") };
        let (code, stdout, _) = run(runtime, spec).await;
        assert_eq!((code, stdout.trim()), (0, if layers == 0 { "0" } else { "3" }));
    }
    assert_eq!(mounts(), before, "nothing stays mounted");
}

async fn parts_stay_inside(runtime: &NamespaceRuntime) {
    for (number, part, seen) in
        [(42, "sub", "above"), (42, "sub/good/", "above"), (45, "sub/both", "file")]
    {
        let script = "test -f /tool && echo file || cat /tool/both";
        let (_, stdout, stderr) = run(runtime, with_image(number, script, 2, part)).await;
        assert_eq!(stdout.trim(), seen, "{part}: {stderr}");
    }
    // The working directory is that of the part.
    let mut spec = with_image(42, "pwd", 2, "sub");
    spec.working_dir = "/tool/deep".into();
    assert_eq!(run(runtime, spec).await.1, "/tool/deep\n");
    let before = mounts();
    for (part, kind, text) in [
        ("none", Kind::NotFound, "cannot access path /run/machine/"),
        ("absolute", Kind::InvalidArgument, "path concatenation escapes the base directory"),
        ("out/machine", Kind::InvalidArgument, "path concatenation escapes the base directory"),
    ] {
        let error = runtime.create(with_image(43, "true", 2, part)).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{part}: {error}");
        assert!(error.to_string().starts_with(text), "{error}");
    }
    assert_eq!(mounts(), before, "what failed leaves nothing");
}

async fn copying_sees_the_same(runtime: &NamespaceRuntime) {
    let spec = with_image(44, "", 2, "sub");
    let mount = FilesMount {
        source: spec.mounts[0].source.clone(),
        destination: "/tool".into(),
        subpath: "sub".into(),
        read_only: true,
        required: true,
    };
    let before = mounts();
    let (id, root) = (spec.id, spec.root);
    let open = FilesSpec { id, root, mounts: vec![mount], images: spec.images };
    let files = runtime.open_files(open).await.unwrap();
    let path = format!("/proc/self/fd/{}/tool/both", files.root().as_fd().as_raw_fd());
    assert_eq!(fs::read_to_string(&path).unwrap(), "above");
    assert_eq!(fs::write(&path, "x").unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(mounts(), before, "the guest sees nothing");
}
