//! Making and finishing containers in a line.

use std::path::Path;

use engine::ports::{ContainerSpec, ExecSpec, OutputPipe, Process, RootFilesystem, Runtime};
use engine_runtime::NamespaceRuntime;
use guest_init::client::InitClient;

use crate::SCRATCH;

pub(crate) fn runtime() -> NamespaceRuntime {
    NamespaceRuntime::new(InitClient::connect().unwrap(), Path::new(SCRATCH).join("runtime"))
}

pub(crate) fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

pub(crate) fn spec(number: u8, args: &[&str]) -> ContainerSpec {
    let base = Path::new(SCRATCH).join("containers").join(number.to_string());
    for directory in ["upper", "work"] {
        std::fs::create_dir_all(base.join(directory)).unwrap();
    }
    ContainerSpec {
        id: format!("{number:064x}"),
        root: RootFilesystem {
            lower: vec![Path::new(SCRATCH).join("image")],
            upper: base.join("upper"),
            work: base.join("work"),
            merged: base.join("merged"),
        },
        hostname: "box".into(),
        args: strings(args),
        env: strings(&["PATH=/usr/bin:/bin", "Z=1", "A=2"]),
        working_dir: "/made/here".into(),
        capabilities: strings(&["CAP_CHOWN", "CAP_MKNOD", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]),
        masked_paths: strings(&["/proc/kcore", "/proc/acpi", "/sys/firmware"]),
        readonly_paths: strings(&["/proc/sys", "/proc/sysrq-trigger"]),
        shm_size: 64 << 20,
        ..ContainerSpec::default()
    }
}

pub(crate) async fn read_all(pipe: Option<Box<dyn OutputPipe>>) -> String {
    let mut pipe = pipe.unwrap();
    let mut all = Vec::new();
    loop {
        let bytes = pipe.peek().await.unwrap();
        if bytes.is_empty() {
            return String::from_utf8(all).unwrap();
        }
        pipe.consume(bytes.len()).await.unwrap();
        all.extend(bytes);
    }
}

pub(crate) async fn finish(runtime: &NamespaceRuntime, process: Process) -> (i32, String, String) {
    let stdout = read_all(process.io.stdout).await;
    let stderr = match process.io.stderr {
        Some(pipe) => read_all(Some(pipe)).await,
        None => String::new(),
    };
    (runtime.wait(process.id).await.unwrap().code, stdout, stderr)
}

pub(crate) async fn run(runtime: &NamespaceRuntime, spec: ContainerSpec) -> (i32, String, String) {
    let id = spec.id.clone();
    let started = std::time::Instant::now();
    let process = runtime.create(spec).await.unwrap();
    runtime.start(&id).await.unwrap();
    let result = finish(runtime, process).await;
    println!("  ran in {:?}", started.elapsed());
    runtime.delete(&id).await.unwrap();
    result
}

pub(crate) fn shell(number: u8, script: &str) -> ContainerSpec {
    spec(number, &["sh", "-c", script])
}

pub(crate) fn exec_spec(id: u8, script: &str) -> ExecSpec {
    ExecSpec {
        id: format!("{id:064x}"),
        args: strings(&["sh", "-c", script]),
        env: strings(&["PATH=/bin", "B=3"]),
        working_dir: "/tmp".into(),
        capabilities: strings(&["CAP_CHOWN"]),
        ..ExecSpec::default()
    }
}
