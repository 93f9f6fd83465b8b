//! The same checks against our engine and the real dockerd, comparisons of what both answer, and
//! docker-py's own tests. `scripts/conformance` starts the two engines and then this program.

mod checks;
mod compare;
mod docker_py;
mod engine;
mod golden;
mod image;
mod mask;
mod program;
mod request;
mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    match suite::trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            let failed = move || Err(libtest_mimic::Failed::from(format!("{error:?}")));
            let trial = libtest_mimic::Trial::test("engines", failed);
            libtest_mimic::run(&arguments, vec![trial]).exit_code()
        }
    }
}
