//! Containers come, change and go: states, names, signals, lists.

use anyhow::{Result, ensure};

use super::Check;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("states_follow_what_happens", states),
    Check::new("stop_sends_the_stop_signal", stop),
    Check::new("kill_sends_any_signal", kill),
    Check::new("a_running_container_is_removed_only_by_force", remove),
    Check::new("rm_on_exit_leaves_nothing", remove_on_exit),
    Check::new("names_are_taken_once_and_can_change", names),
    Check::new("a_prefix_of_an_id_is_enough", prefixes),
    Check::new("a_list_is_filtered", filters),
    Check::new("on_failure_restarts_as_often_as_told", on_failure),
    Check::new("wait_answers_with_the_exit_code", wait),
    Check::new("pause_stops_and_unpause_goes_on", pause),
    Check::new("update_changes_a_running_container", update),
    Check::new("health_is_found_by_its_command", health),
    Check::new("prune_removes_what_has_ended", prune),
    Check::new("stats_have_numbers", stats),
    Check::new("a_link_can_be_taken_out", unlink),
    Check::new("descendants_of_an_image_are_found", descendants),
];

/// A container that sleeps until it is told otherwise. Removed when dropped.
pub(super) struct Sleeper<'a> {
    engine: &'a Engine,
    pub(super) name: String,
}

impl<'a> Sleeper<'a> {
    pub(super) fn start(engine: &'a Engine, name: &str, flags: &[&str]) -> Result<Self> {
        Self::run(engine, name, flags, "trap 'exit 5' TERM; sleep 1000 & wait")
    }

    pub(super) fn run(
        engine: &'a Engine,
        name: &str,
        flags: &[&str],
        script: &str,
    ) -> Result<Self> {
        let run = ["run", "--detach", "--name", name];
        engine.text(&[&run, flags, &["busybox", "sh", "-c", script]].concat())?;
        Ok(Self { engine, name: name.to_owned() })
    }

    /// A field of `docker inspect`, as a Go template.
    pub(super) fn says(&self, template: &str) -> Result<String> {
        self.engine.text(&["inspect", "--format", template, &self.name])
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        drop(self.engine.run(&["rm", "--force", "--volumes", &self.name]));
    }
}

/// Waits until a template says this. Every question is a real command: there is no need to pause.
fn until(sleeper: &Sleeper<'_>, template: &str, wanted: &str) -> Result<()> {
    let begun = std::time::Instant::now();
    loop {
        let said = sleeper.says(template)?;
        if said == wanted {
            return Ok(());
        }
        ensure!(begun.elapsed() < crate::engine::LIMIT, "{template} stayed {said}, not {wanted}");
    }
}

fn states(engine: &Engine) -> Result<()> {
    let name = "life-states";
    engine.text(&["create", "--name", name, "busybox", "sleep", "1000"])?;
    let sleeper = Sleeper { engine, name: name.to_owned() };
    let state = "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}";
    ensure!(sleeper.says(state)? == "created false 0");
    engine.text(&["start", name])?;
    ensure!(sleeper.says(state)? == "running true 0");
    engine.text(&["start", name])?;
    engine.text(&["kill", name])?;
    engine.text(&["wait", name])?;
    ensure!(sleeper.says(state)? == "exited false 137", "{}", sleeper.says(state)?);
    engine.text(&["restart", name])?;
    ensure!(sleeper.says(state)? == "running true 0");
    Ok(())
}

fn stop(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-stop", &[])?;
    engine.text(&["stop", &sleeper.name])?;
    ensure!(sleeper.says("{{.State.ExitCode}}")? == "5");
    engine.text(&["stop", &sleeper.name])?;
    let script = "trap 'exit 6' USR1; sleep 1000 & wait";
    let other = Sleeper::run(engine, "life-stop-usr1", &["--stop-signal", "USR1"], script)?;
    engine.text(&["stop", &other.name])?;
    ensure!(other.says("{{.State.ExitCode}}")? == "6");
    let deaf = Sleeper::run(engine, "life-stop-deaf", &[], "trap '' TERM; sleep 1000")?;
    engine.text(&["stop", "--timeout", "1", &deaf.name])?;
    ensure!(deaf.says("{{.State.ExitCode}}")? == "137");
    Ok(())
}

fn kill(engine: &Engine) -> Result<()> {
    let script = "trap 'echo got' USR2; echo ready; while :; do sleep 0.1; done";
    let sleeper = Sleeper::run(engine, "life-kill", &[], script)?;
    engine.text(&["kill", "--signal", "SIGUSR2", &sleeper.name])?;
    ensure!(sleeper.says("{{.State.Running}}")? == "true");
    engine.text(&["kill", &sleeper.name])?;
    let again = engine.run(&["kill", &sleeper.name])?;
    again.fails(1, "is not running")
}

fn remove(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-remove", &[])?;
    let refused = engine.run(&["rm", &sleeper.name])?;
    refused.fails(1, "container is running: stop the container before removing or force remove")?;
    engine.text(&["rm", "--force", &sleeper.name])?;
    engine.run(&["rm", &sleeper.name])?.fails(1, "No such container: life-remove")
}

fn remove_on_exit(engine: &Engine) -> Result<()> {
    engine.text(&["run", "--rm", "--name", "life-rm", "-v", "/gone", "busybox", "true"])?;
    engine.run(&["inspect", "life-rm"])?.fails(1, "life-rm")
}

fn names(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-name", &[])?;
    let taken = engine.run(&["create", "--name", "life-name", "busybox"])?;
    taken.fails(1, "Conflict. The container name \"/life-name\" is already in use by container")?;
    engine.text(&["rename", "life-name", "life-renamed"])?;
    let renamed = engine.text(&["inspect", "--format", "{{.Name}}", "life-renamed"]);
    engine.text(&["rename", "life-renamed", "life-name"])?;
    ensure!(renamed? == "/life-renamed");
    ensure!(sleeper.says("{{.Name}}")? == "/life-name");
    Ok(())
}

fn prefixes(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-prefix", &[])?;
    let id = sleeper.says("{{.Id}}")?;
    let by_prefix = engine.text(&["inspect", "--format", "{{.Name}}", &id[..12]])?;
    ensure!(id.len() == 64 && by_prefix == "/life-prefix", "{id} {by_prefix}");
    Ok(())
}

fn filters(engine: &Engine) -> Result<()> {
    let _sleeper = Sleeper::start(engine, "life-filter-1", &["-l", "life.filter=1"])?;
    engine.run(&[
        "run",
        "--name",
        "life-filter-2",
        "-l",
        "life.filter=2",
        "busybox",
        "sh",
        "-c",
        "exit 4",
    ])?;
    let listed = |filters: &[&str]| {
        let mut words =
            vec!["ps", "--all", "--format", "{{.Names}}", "--filter", "label=life.filter"];
        filters.iter().for_each(|filter| words.extend(["--filter", *filter]));
        engine.text(&words)
    };
    let found = [
        listed(&[])?,
        listed(&["status=running"])?,
        listed(&["exited=4"])?,
        listed(&["label=life.filter=2"])?,
        listed(&["name=filter-1"])?,
        listed(&["ancestor=busybox", "status=exited"])?,
        listed(&["since=life-filter-1"])?,
        listed(&["volume=/none"])?,
    ];
    engine.text(&["rm", "life-filter-2"])?;
    let (one, two) = ("life-filter-1", "life-filter-2");
    let both = format!("{two}\n{one}");
    ensure!(found == [both.as_str(), one, two, two, one, two, two, ""], "{found:?}");
    Ok(())
}

fn on_failure(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::run(engine, "life-again", &["--restart", "on-failure:2"], "exit 3")?;
    until(&sleeper, "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", "exited 2 3")
}

fn wait(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::run(engine, "life-wait", &[], "sleep 0.2; exit 9")?;
    ensure!(engine.text(&["wait", &sleeper.name])? == "9");
    ensure!(engine.text(&["wait", &sleeper.name])? == "9");
    Ok(())
}

fn pause(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-pause", &[])?;
    engine.text(&["pause", &sleeper.name])?;
    ensure!(sleeper.says("{{.State.Status}} {{.State.Paused}}")? == "paused true");
    let refused = engine.run(&["exec", &sleeper.name, "true"])?;
    refused.fails(1, "is paused, unpause the container before exec")?;
    engine.text(&["unpause", &sleeper.name])?;
    engine.text(&["exec", &sleeper.name, "true"])?;
    Ok(())
}

fn update(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-update", &[])?;
    engine.text(&["update", "--cpu-shares", "512", "--restart", "on-failure:1", &sleeper.name])?;
    let said = sleeper.says("{{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}")?;
    ensure!(said == "512 on-failure", "{said}");
    Ok(())
}

fn health(engine: &Engine) -> Result<()> {
    let flags =
        ["--health-interval", "100ms", "--health-retries", "1", "--health-cmd", "test -e /ok"];
    let sleeper = Sleeper::start(engine, "life-health", &flags)?;
    until(&sleeper, "{{.State.Health.Status}}", "unhealthy")?;
    engine.text(&["exec", &sleeper.name, "touch", "/ok"])?;
    until(&sleeper, "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "healthy 0")
}

fn prune(engine: &Engine) -> Result<()> {
    let _kept = Sleeper::start(engine, "life-prune-kept", &["-l", "life.prune"])?;
    let id = engine.text(&["create", "-l", "life.prune", "busybox", "true"])?;
    let said = engine.text(&["container", "prune", "--force", "--filter", "label=life.prune"])?;
    ensure!(said.contains(&id) && said.contains("Total reclaimed space: 0B"), "{said}");
    ensure!(engine.text(&["ps", "-aq", "--filter", "label=life.prune"])?.lines().count() == 1);
    Ok(())
}

fn stats(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "life-stats", &[])?;
    let format = "{{.Name}} {{.PIDs}} {{.MemUsage}}";
    let said = engine.text(&["stats", "--no-stream", "--format", format, &sleeper.name])?;
    ensure!(said.starts_with("life-stats 2 ") && !said.contains(" 0B /"), "{said}");
    Ok(())
}

fn unlink(engine: &Engine) -> Result<()> {
    let other = Sleeper::start(engine, "life-linked", &[])?;
    let (link, name) = (format!("{}:data", other.name), "life-links");
    engine.text(&["create", "--name", name, "--link", &link, "busybox", "true"])?;
    let linking = Sleeper { engine, name: name.to_owned() };
    ensure!(linking.says("{{.HostConfig.Links}}")? == "[/life-linked:/life-links/data]");
    engine.text(&["rm", "--link", "life-links/data"])?;
    ensure!(linking.says("{{.HostConfig.Links}}")? == "[]");
    engine.run(&["rm", "--link", "life-links/data"])?.fails(1, "No such container")
}

fn descendants(engine: &Engine) -> Result<()> {
    let parent = Sleeper::start(engine, "life-parent", &[])?;
    engine.text(&["commit", &parent.name, "life-parent:made"])?;
    engine.text(&["create", "--name", "life-child", "life-parent:made"])?;
    let found =
        engine.text(&["ps", "-aq", "--filter", "ancestor=busybox", "--filter", "name=life-child"]);
    engine.text(&["rm", "life-child"])?;
    engine.text(&["rmi", "life-parent:made"])?;
    let found = found?;
    ensure!(found.lines().count() == 1, "{found}");
    Ok(())
}
