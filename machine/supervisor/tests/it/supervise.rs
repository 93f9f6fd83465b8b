//! The supervisor process, as the tests run it.

fn main() -> std::process::ExitCode {
    machine_supervisor::supervise()
}
