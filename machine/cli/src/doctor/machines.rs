//! What machines that exist need: leftovers, ports that others took, certificates that end.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, SystemTime};

use machine_lifecycle::driver::MachineFiles;
use machine_lifecycle::{CertificateUse, Listed, State};
use machine_store::NO_DRIVER;

use super::{Finding, told};
use crate::Context;

/// How long one machine may take to say what it does.
const LIMIT: Duration = Duration::from_secs(2);

/// When the end of what no start renews is worth a word.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) async fn examine(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    match context.machines.list(LIMIT, LIMIT).await {
        Ok(machines) => {
            let before = findings.len();
            for machine in &machines {
                findings.extend(trouble(machine, context).await);
            }
            if findings.len() == before {
                findings.push(Finding::ok("machines", format!("{}, no leftovers", machines.len())));
            }
        }
        Err(error) => findings.push(Finding::warn(
            "machines",
            told(&error),
            "look at the storage directory's permissions",
        )),
    }
    findings.extend(drafts(context));
    findings.push(certificates(context));
    findings
}

async fn trouble(machine: &Listed, context: &Context) -> Option<Finding> {
    const CHECK: &str = "machines";
    let name = &machine.name;
    match machine.state {
        State::Error | State::Timeout => {
            let why = machine.error.clone().unwrap_or_else(|| "it does not answer".to_owned());
            Some(Finding::warn(
                CHECK,
                format!("{name}: {why}"),
                format!("machine kill {name}, then start it; or machine rm -f {name}"),
            ))
        }
        // Who supervises a Docker host elsewhere is not our business.
        _ if machine.driver == NO_DRIVER => None,
        State::Running | State::Paused if !is_supervised(name, context).await => {
            Some(Finding::warn(
                CHECK,
                format!("{name} runs, but its supervisor is gone: no new port is published"),
                format!("machine start {name}: it goes on with a new one"),
            ))
        }
        State::Stopped | State::Saved => {
            let ports = context.machines.store().record(name).ok()?.ports;
            let taken = [ports.api, ports.ssh]
                .into_iter()
                .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())?;
            Some(Finding::warn(
                CHECK,
                format!("{name} cannot start: another program has its port {taken}"),
                format!("end that program (lsof -i :{taken} tells which it is)"),
            ))
        }
        _ => None,
    }
}

/// If it cannot be told, there is no news.
async fn is_supervised(name: &str, context: &Context) -> bool {
    let directory = context.machines.store().paths(name).directory().to_owned();
    let files = MachineFiles { name: name.to_owned(), directory };
    context.driver.is_supervised(&files).await.unwrap_or(true)
}

/// Directories of machines that were never finished, or never wholly removed, with nobody at it.
fn drafts(context: &Context) -> Vec<Finding> {
    let store = context.machines.store();
    let Some(Ok(entries)) = store.paths("x").directory().parent().map(std::fs::read_dir) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|file| {
            let inner = file.strip_prefix('.')?;
            let name = inner.strip_suffix(".creating").or(inner.strip_suffix(".removing"))?;
            let nobody_at_it = store.lock(name).is_ok();
            nobody_at_it.then(|| {
                Finding::warn(
                    "leftovers",
                    format!("{file} was left by a command that was killed"),
                    format!("machine create {name} or machine rm -f {name} removes it"),
                )
            })
        })
        .collect()
}

fn certificates(context: &Context) -> Finding {
    const CHECK: &str = "certificates";
    if !context.machines.store().layout().authority_certificate().exists() {
        return Finding::ok(CHECK, "there are none yet");
    }
    let all = match context.machines.certificates(None) {
        Ok(all) => all,
        Err(error) => {
            return Finding::warn(CHECK, told(&error), "machine certs shows them one by one");
        }
    };
    let broken = all.iter().find_map(|one| Some((one, one.problem.as_ref()?)));
    if let Some((one, problem)) = broken {
        let fix = match &one.machine {
            Some(name) => format!("machine start {name} or machine env {name} makes it anew"),
            None => "machine create or machine start makes it anew".to_owned(),
        };
        return Finding::warn(CHECK, format!("{}: {problem}", one.path.display()), fix);
    }
    let soon = SystemTime::now() + SOON;
    match all.iter().find(|one| one.not_after < soon) {
        Some(one) => {
            let name = one.machine.as_ref().map_or("NAME", |name| name.as_str());
            let fix = if one.usage == CertificateUse::Authority {
                format!("machine regenerate-certs --ca {name} makes the CA anew")
            } else {
                format!("machine start {name} or machine env {name} renews it")
            };
            Finding::warn(CHECK, format!("{} ends within 30 days", one.path.display()), fix)
        }
        None => Finding::ok(CHECK, format!("{}, none ends within 30 days", all.len())),
    }
}
