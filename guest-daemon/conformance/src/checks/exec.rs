//! Further programs in a running container.

use anyhow::{Result, ensure};

use super::Check;
use super::life::Sleeper;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("output_input_and_exit_code_are_the_programs", streams),
    Check::new("environment_user_and_directory_are_set", surroundings),
    Check::new("a_program_that_is_not_there_is_127", not_there),
    Check::new("a_detached_program_goes_on", detached),
    Check::new("only_a_running_container_takes_programs", not_running),
    Check::new("a_privileged_program_has_all_capabilities", privileged),
];

fn streams(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "exec-streams", &[])?;
    let words = ["exec", "-i", &sleeper.name, "sh", "-c", "cat; echo err >&2; exit 8"];
    let ended = engine.run_with(&words, b"typed\n")?;
    ensure!(ended.stdout == "typed\n" && ended.stderr == "err\n" && ended.code == 8, "{ended:?}");
    Ok(())
}

fn surroundings(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "exec-surroundings", &["-e", "A=1", "-e", "B=1"])?;
    let words = ["exec", "-e", "B=2", "-u", "app:extra", "-w", "/tmp", &sleeper.name];
    let script = "echo $A$B; id -un; id -g; pwd";
    let said = engine.text(&[&words[..], &["sh", "-c", script]].concat())?;
    ensure!(said == "12\napp\n2000\n/tmp", "{said}");
    Ok(())
}

fn not_there(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "exec-absent", &[])?;
    let ended = engine.run(&["exec", &sleeper.name, "absent"])?;
    // dockerd says it on the stream of the output.
    let said = ended.stdout.contains("exec: \"absent\": executable file not found in $PATH");
    ensure!(ended.code == 127 && said, "{ended}");
    Ok(())
}

fn detached(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "exec-detached", &[])?;
    engine.text(&["exec", &sleeper.name, "mkfifo", "/pipe"])?;
    engine.text(&["exec", "-d", &sleeper.name, "sh", "-c", "echo written >/pipe"])?;
    ensure!(engine.text(&["exec", &sleeper.name, "cat", "/pipe"])? == "written");
    Ok(())
}

fn not_running(engine: &Engine) -> Result<()> {
    let id = engine.text(&["create", "--name", "exec-created", "busybox"])?;
    let refused = engine.run(&["exec", "exec-created", "true"])?;
    engine.text(&["rm", "exec-created"])?;
    refused.fails(1, &format!("container {id} is not running"))
}

fn privileged(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "exec-privileged", &["--cap-drop", "all"])?;
    let capabilities = |flags: &[&str]| {
        let words = [&["exec"], flags, &[&sleeper.name, "grep", "CapEff", "/proc/self/status"]];
        engine.text(&words.concat())
    };
    let (usual, more) = (capabilities(&[])?, capabilities(&["--privileged"])?);
    ensure!(usual.ends_with("\t0000000000000000"), "{usual}");
    ensure!(more.contains("\t000001ff"), "{more}");
    Ok(())
}
