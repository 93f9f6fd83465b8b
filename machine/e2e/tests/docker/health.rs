//! Health checks.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, archive, eventually};
use serde_json::json;

use crate::fixture::Fixture;
use crate::listener::Listener;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_container_is_healthy_when_its_check_says_so", follows),
    ("an_images_check_is_run_unless_it_is_refused", of_image),
    ("a_check_that_takes_too_long_fails", too_slow),
];

fn status(on: &Fixture, name: &str) -> Result<String> {
    on.text(&["ps", "--filter", &format!("name=^{name}$"), "--format", "{{.Status}}"])
}

fn follows(on: &Fixture) -> Result<()> {
    // A name that the engine gives could begin with a word alone, and the filter finds beginnings.
    let listener = Listener::start(on, "container=in-care", "{{.Action}}")?;
    let check = ["--health-cmd", "echo looked; test -f /well", "--health-interval", "100ms"];
    let words = [&["run", "-d", "--name", "in-care"], &check[..], &["--health-retries", "2"]];
    on.text(&[&words.concat()[..], &["busybox", "sleep", "1000"]].concat())?;
    eventually("it is unhealthy", || Ok(status(on, "in-care")?.ends_with("(unhealthy)")))?;
    on.text(&["exec", "in-care", "touch", "/well"])?;
    eventually("it is healthy", || Ok(status(on, "in-care")?.ends_with("(healthy)")))?;
    let found = on.text(&["ps", "--filter", "health=healthy", "--format", "{{.Names}}"])?;
    ensure!(found.lines().any(|name| name == "in-care"), "{found}");
    let health = &on.inspect("in-care")?["State"]["Health"];
    ensure!(health["Status"] == "healthy" && health["FailingStreak"] == 0, "{health}");
    let log = health["Log"].as_array().cloned().unwrap_or_default();
    ensure!((1..=5).contains(&log.len()), "{health}");
    ensure!(log.iter().all(|result| result["Output"] == "looked\n"), "{health}");
    on.text(&["rm", "-f", "in-care"])?;
    let told = listener.told_up_to("destroy")?;
    let statuses: Vec<&str> =
        told.iter().filter_map(|line| line.strip_prefix("health_status: ")).collect();
    ensure!(statuses == ["unhealthy", "healthy"], "{told:?}");
    Ok(())
}

fn of_image(on: &Fixture) -> Result<()> {
    let config = json!({
        "Cmd": ["sleep", "1000"],
        "Env": ["PATH=/bin"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 100_000_000},
    });
    let image = archive::docker_archive("checked:latest", config, &[archive::busybox_root()?])?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    on.text(&["run", "-d", "--name", "checked", "checked"])?;
    let health = &on.inspect("checked")?["State"]["Health"];
    ensure!(health["Status"] == "starting" || health["Status"] == "healthy", "{health}");
    eventually("it is healthy", || Ok(status(on, "checked")?.ends_with("(healthy)")))?;
    on.text(&["run", "-d", "--no-healthcheck", "--name", "unchecked", "checked"])?;
    let state = &on.inspect("unchecked")?["State"];
    ensure!(state.get("Health").is_none(), "{state}");
    on.text(&["rm", "-f", "checked", "unchecked"]).map(drop)
}

fn too_slow(on: &Fixture) -> Result<()> {
    let check =
        ["--health-cmd", "sleep 1000", "--health-interval", "50ms", "--health-timeout", "200ms"];
    let words = [&["run", "-d", "--name", "slow", "--health-retries", "1"], &check[..]].concat();
    on.text(&[&words[..], &["busybox", "sleep", "1000"]].concat())?;
    eventually("it is unhealthy", || Ok(status(on, "slow")?.ends_with("(unhealthy)")))?;
    let health = &on.inspect("slow")?["State"]["Health"];
    ensure!(health["Log"][0]["ExitCode"] == -1, "{health}");
    ensure!(health["Log"][0]["Output"] == "Health check exceeded timeout (200ms)", "{health}");
    on.text(&["rm", "-f", "slow"]).map(drop)
}
