//! The `machine` command: wiring only.

use std::process::ExitCode;
use std::sync::Arc;

use machine_cli::{Ui, World, run};
use machine_lifecycle::Capacity;
use machine_supervisor::QemuDriver;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "supervise") {
        return machine_supervisor::supervise();
    }
    // Before anything takes time: somebody has pressed TAB.
    if machine_cli::complete() {
        return ExitCode::SUCCESS;
    }
    let ui = Ui::of_process();
    let executable = match std::env::current_exe() {
        Ok(path) => path,
        Err(error) => return ui.no_start("the program cannot find itself", &error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ui.no_start("the program cannot wait for events", &error),
    };
    let world = World {
        arguments: std::env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
        variables: std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        driver: Arc::new(QemuDriver::new(executable.clone())),
        executable,
        capacity: Capacity::of_host,
        ui,
    };
    let code = runtime.block_on(run(world));
    runtime.shutdown_background();
    ExitCode::from(code)
}
