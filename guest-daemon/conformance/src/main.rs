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
        Ok((trials, compared)) => {
            let conclusion = libtest_mimic::run(&arguments, trials);
            let all = arguments.filter.is_none() && !arguments.list;
            if let Some(accepted) = compared.filter(|_| all) {
                accepted.unseen().for_each(|line| report(&line));
            }
            conclusion.exit_code()
        }
        Err(error) => {
            let failed = move || Err(libtest_mimic::Failed::from(format!("{error:?}")));
            let trial = libtest_mimic::Trial::test("engines", failed);
            libtest_mimic::run(&arguments, vec![trial]).exit_code()
        }
    }
}

#[expect(clippy::print_stderr, reason = "for whoever keeps the list")]
fn report(line: &str) {
    eprintln!("accepted, but not seen: {line}");
}
