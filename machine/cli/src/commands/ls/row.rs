//! One machine of the list.

use std::time::{Duration, Instant};

use machine_lifecycle::{Listed, MachineName, State};
use machine_store::MachineRecord;
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::{Context, engine};

/// What has to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) state: bool,
    /// Of the engine; it is asked over the network.
    pub(super) version: bool,
}

/// A machine, what is stored of it, and what its engine says.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) machine: Listed,
    pub(super) record: Option<MachineRecord>,
    is_active: bool,
    is_active_swarm: bool,
    /// The name of its swarm's master, or whom it would be.
    pub(super) swarm: String,
    version: Option<String>,
    error: Option<String>,
    response: Duration,
}

/// All machines, in natural order.
pub(super) async fn all(
    needs: Needs,
    state_limit: Duration,
    patience: Duration,
    context: &Context,
) -> Result<Vec<Row>, CommandError> {
    let begin = Instant::now();
    let listed = if needs.state {
        context.machines.list(state_limit, patience).await?
    } else {
        context.machines.names()?.iter().map(|name| unasked(name, context)).collect()
    };
    let waited = begin.elapsed();
    let rows = listed.into_iter().map(|machine| async move {
        let asked = Instant::now();
        let mut row = Row::new(machine, context);
        if needs.version && row.machine.state == State::Running {
            match version(&row.machine.name, patience, context).await {
                Ok(version) => row.version = version,
                Err(problem) => row.error = row.error.or(Some(problem)),
            }
        }
        row.response = waited + asked.elapsed();
        row
    });
    let mut rows = futures::future::join_all(rows).await;
    name_swarms(&mut rows);
    Ok(rows)
}

/// A machine of which nothing but its name and what is stored matters.
fn unasked(name: &MachineName, context: &Context) -> Listed {
    let record = context.machines.store().record(name.as_str());
    Listed {
        name: name.to_string(),
        driver: record.map_or_else(|_| "not found".to_owned(), |record| record.driver),
        state: State::Stopped,
        url: None,
        error: None,
    }
}

async fn version(name: &str, limit: Duration, context: &Context) -> Result<Option<String>, String> {
    let Ok(name) = name.parse::<MachineName>() else { return Ok(None) };
    let Ok(connection) = context.machines.address(&name) else { return Ok(None) };
    let version = engine::version(&connection, limit).await;
    version.map(Some).map_err(|error| format!("Unable to query docker version: {error}"))
}

/// A master's name is told to all that are found the same way.
fn name_swarms(rows: &mut [Row]) {
    let masters = super::filter::masters(rows);
    for row in rows {
        let Some(swarm) = row.record.as_ref().and_then(|record| record.swarm.as_ref()) else {
            continue;
        };
        row.swarm = if swarm.is_master {
            format!("{} (master)", row.machine.name)
        } else {
            masters.get(&swarm.discovery).cloned().unwrap_or_default()
        };
    }
}

impl Row {
    fn new(machine: Listed, context: &Context) -> Self {
        let record = context.machines.store().record(&machine.name).ok();
        let host = context.variable("DOCKER_HOST");
        let is_active = machine.url.is_some() && machine.url.as_deref() == host;
        let swarm = record.as_ref().and_then(|record| record.swarm.as_ref());
        let is_active_swarm = swarm.is_some_and(|swarm| swarm.is_master)
            && host.is_some()
            && swarm_url(&machine, record.as_ref()).as_deref() == host;
        Self {
            error: machine.error.clone(),
            machine,
            record,
            is_active,
            is_active_swarm,
            swarm: String::new(),
            version: None,
            response: Duration::ZERO,
        }
    }

    /// For scripts: what there is, as it is.
    pub(super) fn to_json(&self) -> Value {
        let Listed { name, driver, state, url, .. } = &self.machine;
        json!({
            "Name": name,
            "Active": self.is_active || self.is_active_swarm,
            "DriverName": driver,
            "State": state.to_string(),
            "URL": url.clone().unwrap_or_default(),
            "Swarm": self.swarm,
            "DockerVersion": self.version.clone().unwrap_or_default(),
            "Error": self.error.clone().unwrap_or_default(),
        })
    }

    /// For templates: as docker-machine shows it.
    pub(super) fn to_fields(&self) -> Value {
        let Listed { name, driver, state, url, .. } = &self.machine;
        let active = match (self.is_active, self.is_active_swarm) {
            (true, _) => "*",
            (_, true) => "* (swarm)",
            (false, false) => "-",
        };
        let mut fields = json!({
            "Name": name,
            "Active": active,
            "ActiveHost": self.is_active,
            "ActiveSwarm": self.is_active_swarm,
            "DriverName": driver,
            "State": state.to_string(),
            "URL": url.clone().unwrap_or_default(),
            "SwarmOptions": self.record.as_ref().and_then(|record| record.swarm.as_ref()),
            "Swarm": self.swarm,
            "EngineOptions": self.record.as_ref().map(|record| &record.engine),
            "Error": self.error.clone().unwrap_or_default(),
            "DockerVersion": self.docker(),
            "ResponseTime": format!("{:.1}ms", self.response.as_secs_f64() * 1000.0),
        });
        if *state == State::Timeout
            && let Value::Object(fields) = &mut fields
        {
            for name in ["Active", "DriverName", "URL", "Swarm", "Error", "DockerVersion"] {
                fields.insert(name.to_owned(), "".into());
            }
        }
        fields
    }

    fn docker(&self) -> String {
        match &self.version {
            Some(version) => format!("v{version}"),
            None => "Unknown".to_owned(),
        }
    }
}

/// Where a swarm's master would be reached: the machine's host, the swarm's port.
fn swarm_url(machine: &Listed, record: Option<&MachineRecord>) -> Option<String> {
    let port = record?.swarm.as_ref()?.host.rsplit(':').next()?.to_owned();
    let (host, _) = machine.url.as_deref()?.rsplit_once(':')?;
    Some(format!("{host}:{port}"))
}

/// The head of a table, by field.
pub(super) fn titles() -> Value {
    json!({
        "Name": "NAME",
        "Active": "ACTIVE",
        "ActiveHost": "ACTIVE_HOST",
        "ActiveSwarm": "ACTIVE_SWARM",
        "DriverName": "DRIVER",
        "State": "STATE",
        "URL": "URL",
        "SwarmOptions": "SWARM_OPTIONS",
        "Swarm": "SWARM",
        "EngineOptions": "ENGINE_OPTIONS",
        "Error": "ERRORS",
        "DockerVersion": "DOCKER",
        "ResponseTime": "RESPONSE",
    })
}
