//! `machine certs`: which certificates there are and how long they live; more of them.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::ValueEnum;
use jiff::Timestamp;
use machine_lifecycle::{CertificateInfo, CertificateUse, Role};
use serde::Serialize;

use super::{DONE, Outcome, names};
use crate::error::CommandError;
use crate::{Context, table};

/// Show certificates, or issue one
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The machine; all of them otherwise
    name: Option<String>,

    /// How to print
    #[arg(short, long, value_name = "FORM", value_parser = ["table", "json", "yaml"], default_value = "table")]
    output: String,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Issue(Issue),
}

/// Issue another client certificate: ca.pem, cert.pem and key.pem in a directory
///
/// The machines of one storage root have one CA: all of them accept it. It ends after 397 days, or
/// with `machine regenerate-certs --ca`.
#[derive(Debug, clap::Args)]
struct Issue {
    /// What its owner may do: look at everything but change nothing, or everything
    #[arg(long, value_enum, default_value_t = Allowed::Viewer)]
    role: Allowed,

    /// The machine
    name: String,

    /// Where to write; made if it is not there, and for DOCKER_CERT_PATH
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Allowed {
    Viewer,
    Admin,
}

/// One certificate, as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    /// Nothing for the CA, which is that of all.
    machine: Option<String>,
    #[serde(rename = "Use")]
    usage: &'static str,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    days_left: i64,
    state: String,
    names: Vec<String>,
    file: PathBuf,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    if let Some(Action::Issue(issue)) = &args.action {
        return run_issue(issue, context).await;
    }
    let name = args.name.as_deref().map(|name| names::existing(name, context)).transpose()?;
    let now = SystemTime::now();
    let certificates = context.machines.certificates(name.as_ref())?;
    let rows: Vec<Row> =
        certificates.into_iter().map(|certificate| row(certificate, now)).collect();
    let text = match args.output.as_str() {
        "json" => serde_json::to_string_pretty(&rows)
            .map_err(|error| CommandError::failed("no JSON could be made").because(&error))?,
        "yaml" => serde_yaml_ng::to_string(&rows)
            .map_err(|error| CommandError::failed("no YAML could be made").because(&error))?,
        _ => lines(&rows),
    };
    context.ui.result(text.trim_end());
    DONE
}

async fn run_issue(issue: &Issue, context: &Context) -> Outcome {
    let name = names::existing(&issue.name, context)?;
    let (role, may) = match issue.role {
        Allowed::Viewer => (Role::Viewer, "may look at everything and change nothing"),
        Allowed::Admin => (Role::Admin, "may do everything"),
    };
    context.machines.issue_certificate(&name, role, &issue.directory).await?;
    let directory = issue.directory.display();
    context.ui.note(&format!("Whoever has the files in {directory} {may}."));
    context.ui.result(&directory.to_string());
    DONE
}

fn row(certificate: CertificateInfo, now: SystemTime) -> Row {
    let CertificateInfo { machine, usage, path, names, not_before, not_after, .. } = certificate;
    let known = not_after > SystemTime::UNIX_EPOCH;
    let time = |time| Timestamp::try_from(time).ok().filter(|_| known);
    let left = not_after.duration_since(now).unwrap_or_default();
    Row {
        machine: machine.map(|name| name.to_string()),
        usage: match usage {
            CertificateUse::Authority => "ca",
            CertificateUse::Server => "server",
            CertificateUse::Client => "client",
        },
        from: time(not_before),
        until: time(not_after),
        days_left: i64::try_from(left.as_secs() / 86_400).unwrap_or(i64::MAX),
        state: match certificate.problem {
            Some(problem) => problem,
            None if certificate.renewal_due => "renewed at the next start or env".to_owned(),
            None => "good".to_owned(),
        },
        names,
        file: path,
    }
}

fn lines(rows: &[Row]) -> String {
    let mut lines = vec![
        ["MACHINE", "USE", "FROM", "UNTIL", "DAYS", "STATE", "NAMES", "FILE"].map(str::to_owned),
    ];
    let day = |time: Option<Timestamp>| time.map(|time| time.strftime("%Y-%m-%d").to_string());
    lines.extend(rows.iter().map(|row| {
        [
            row.machine.clone().unwrap_or_else(|| "-".to_owned()),
            row.usage.to_owned(),
            day(row.from).unwrap_or_default(),
            day(row.until).unwrap_or_default(),
            row.days_left.to_string(),
            row.state.clone(),
            row.names.join(","),
            row.file.display().to_string(),
        ]
    }));
    table::render(&lines)
}
