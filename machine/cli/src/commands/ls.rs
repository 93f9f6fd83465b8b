//! `machine ls`: all machines at a glance.

use std::time::Duration;

use machine_lifecycle::{Listed, MachineName, State};

use super::{DONE, Outcome};
use crate::{Context, engine, table};

/// List machines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print names only
    #[arg(short, long)]
    quiet: bool,

    /// How to print
    #[arg(short, long, value_name = "FORM", value_parser = ["table", "json"], default_value = "table")]
    output: String,

    /// How long to wait for a machine's answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
}

/// A machine and what its engine says of itself.
struct Row {
    machine: Listed,
    active: bool,
    version: Option<String>,
    error: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    if args.quiet {
        for name in context.machines.names()? {
            context.ui.result(name.as_str());
        }
        return DONE;
    }
    let limit = Duration::from_secs(args.timeout);
    let machines = context.machines.list(limit).await?;
    let rows = machines.into_iter().map(|machine| row(machine, limit, context));
    let rows = futures::future::join_all(rows).await;
    if args.output == "json" {
        let rows: Vec<_> = rows.iter().map(json).collect();
        context.ui.result(&format!("{:#}", serde_json::Value::from(rows)));
    } else {
        let mut lines = vec![
            ["NAME", "ACTIVE", "DRIVER", "STATE", "URL", "SWARM", "DOCKER", "ERRORS"]
                .map(str::to_owned),
        ];
        lines.extend(rows.iter().map(cells));
        context.ui.result(&table::render(&lines));
    }
    DONE
}

async fn row(machine: Listed, limit: Duration, context: &Context) -> Row {
    let active = machine.url.is_some() && machine.url.as_deref() == context.variable("DOCKER_HOST");
    let (version, problem) = match machine.name.parse::<MachineName>() {
        Ok(name) if machine.state == State::Running => version(&name, limit, context).await,
        Ok(_) | Err(_) => (None, None),
    };
    let error = machine.error.clone().or(problem);
    Row { machine, active, version, error }
}

async fn version(
    name: &MachineName,
    limit: Duration,
    context: &Context,
) -> (Option<String>, Option<String>) {
    let Ok(connection) = context.machines.address(name) else { return (None, None) };
    match engine::version(&connection, limit).await {
        Ok(version) => (Some(version), None),
        Err(error) => (None, Some(format!("Unable to query docker version: {error}"))),
    }
}

fn cells(row: &Row) -> [String; 8] {
    let Listed { name, driver, state, url, .. } = &row.machine;
    let unanswered = *state == State::Timeout;
    let docker = match &row.version {
        Some(version) => format!("v{version}"),
        None if unanswered => String::new(),
        None => "Unknown".to_owned(),
    };
    [
        name.clone(),
        if row.active { "*" } else { "-" }.to_owned(),
        driver.clone(),
        state.to_string(),
        url.clone().unwrap_or_default(),
        String::new(),
        docker,
        row.error.clone().unwrap_or_default(),
    ]
}

fn json(row: &Row) -> serde_json::Value {
    let Listed { name, driver, state, url, .. } = &row.machine;
    serde_json::json!({
        "Name": name,
        "Active": row.active,
        "DriverName": driver,
        "State": state.to_string(),
        "URL": url.clone().unwrap_or_default(),
        "DockerVersion": row.version.clone().unwrap_or_default(),
        "Error": row.error.clone().unwrap_or_default(),
    })
}
