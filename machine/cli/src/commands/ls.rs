//! `machine ls`: all machines at a glance.

mod filter;
mod row;
mod watch;

use std::time::Duration;

use serde_json::Value;

use super::{DONE, Outcome};
use crate::error::CommandError;
use crate::template::{Missing, Template};
use crate::{Context, table};
use filter::Filters;
use row::{Needs, Row};

/// How long a state is waited for when nobody says otherwise.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);
/// What has not answered by then does not hold up the list.
const PATIENCE: Duration = Duration::from_millis(200);

const TABLE: &str = "table";
const USUAL_FORMAT: &str = "table {{.Name}}\\t{{.Active}}\\t{{.DriverName}}\\t{{.State}}\\t{{.URL}}\
                            \\t{{.Swarm}}\\t{{.DockerVersion}}\\t{{.Error}}";

/// List machines
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  machine ls --filter state=Running --filter name=^dev
  machine ls -o json
  machine ls --format '{{.Name}}: {{.URL}}'
  machine ls --format 'table {{.Name}}\\t{{.State}}'
  machine ls --watch                        JSON lines, one for each change

Filters: driver, state, swarm, name (a regular expression), label=KEY=VALUE. The same one twice
means either of them, different ones mean all of them.
Fields for --format: .Name .Active .ActiveHost .ActiveSwarm .DriverName .State .URL .Swarm
.SwarmOptions .EngineOptions .Error .DockerVersion .ResponseTime")]
pub(crate) struct Args {
    /// Print names only
    #[arg(short, long)]
    quiet: bool,

    /// Show some machines only: KEY=VALUE; repeatable
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,

    /// How long to wait for a machine's answer [default: 10; what is silent is waited for only if
    /// this is given]
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// Print each machine with a Go template; after `table ` as a table
    #[arg(short, long, value_name = "TEMPLATE", conflicts_with = "output")]
    format: Option<String>,

    /// How to print
    #[arg(
        short,
        long,
        value_name = "FORM",
        value_parser = ["table", "json", "yaml", "name"],
        conflicts_with = "quiet"
    )]
    output: Option<String>,

    /// Print what is now, then every change, as JSON lines, until interrupted
    #[arg(long, conflicts_with_all = ["quiet", "format", "output"])]
    watch: bool,
}

impl Args {
    fn state_limit(&self) -> Duration {
        self.timeout.map_or(USUAL_TIMEOUT, Duration::from_secs)
    }

    /// For a machine to say how it is, and for an engine to tell its version.
    fn patience(&self) -> Duration {
        self.timeout.map_or(PATIENCE, |seconds| Duration::from_secs(seconds) * 9 / 10)
    }
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let filters = Filters::parse(&args.filter)?;
    if args.watch {
        return watch::run(args, &filters, context).await;
    }
    let output = args.output.as_deref().unwrap_or(TABLE);
    if args.quiet || output == "name" {
        let needs = Needs { state: filters.need_state(), version: false };
        for row in rows(args, &filters, needs, context).await? {
            context.ui.result(&row.machine.name);
        }
        return DONE;
    }
    if output == TABLE {
        return formatted(args, &filters, context).await;
    }
    let needs = Needs { state: true, version: true };
    let rows: Vec<Value> =
        rows(args, &filters, needs, context).await?.iter().map(Row::to_json).collect();
    if output == "json" {
        context.ui.result(&format!("{:#}", Value::from(rows)));
    } else {
        let yaml = serde_yaml_ng::to_string(&rows);
        let yaml = yaml.map_err(|e| CommandError::failed("no YAML can be made").because(&e))?;
        context.ui.result(yaml.trim_end());
    }
    DONE
}

/// The machines to show, with what is needed of them.
async fn rows(
    args: &Args,
    filters: &Filters,
    needs: Needs,
    context: &Context,
) -> Result<Vec<Row>, CommandError> {
    let rows = row::all(needs, args.state_limit(), args.patience(), context).await?;
    // Names alone are for other commands, which could do nothing with what cannot be read.
    let is_usable = |row: &Row| !args.quiet || row.record.is_some();
    let masters = filter::masters(&rows);
    Ok(rows.into_iter().filter(|row| is_usable(row) && filters.fit(row, &masters)).collect())
}

async fn formatted(args: &Args, filters: &Filters, context: &Context) -> Outcome {
    let format = args.format.as_deref().unwrap_or(USUAL_FORMAT);
    let (is_table, format) = match format.strip_prefix(TABLE) {
        Some(format) => (true, format),
        None => (false, format),
    };
    let format = format.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
    let failed = |error: &dyn std::fmt::Display| {
        CommandError::usage(format!("template parsing error: {error}"))
            .hint("see the fields in `machine ls --help`")
    };
    let template = Template::parse(&format).map_err(|error| failed(&error))?;
    let needs = needs_of(&template, filters);
    let rows = rows(args, filters, needs, context).await?;
    let mut lines = Vec::new();
    if is_table {
        // A head that cannot be made is no reason to fail.
        let head = template.render(&row::titles(), Missing::NoValue);
        lines.extend(head.ok());
    }
    for row in &rows {
        let line = template.render(&row.to_fields(), Missing::Error);
        lines.push(line.map_err(|error| {
            CommandError::failed(error.to_string()).hint("see the fields in `machine ls --help`")
        })?);
    }
    if is_table {
        let cells: Vec<Vec<String>> = lines
            .iter()
            .flat_map(|line| line.split('\n'))
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect();
        context.ui.result(&table::render(&cells));
    } else {
        lines.iter().for_each(|line| context.ui.result(line));
    }
    DONE
}

/// What is not shown is not asked for: names are there at once.
fn needs_of(template: &Template, filters: &Filters) -> Needs {
    let Some(fields) = template.fields() else { return Needs { state: true, version: true } };
    let shows = |names: &[&str]| names.iter().any(|name| fields.contains(name));
    let state = ["State", "URL", "Active", "ActiveHost", "ActiveSwarm", "ResponseTime"];
    let version = shows(&["DockerVersion", "Error"]);
    Needs { state: version || shows(&state) || filters.need_state(), version }
}
