//! `machine doctor`: what works on this host, why not, and what helps.

use serde_json::{Value, json};

use super::Outcome;
use crate::Context;
use crate::doctor::{self, Finding, Status};
use crate::error::CommandError;

/// Find out what works on this host, and why not
///
/// Every line is ok, warn or fail; what fails keeps machines from being made. The exit code is 0 if a
/// machine can be made, 1 if not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print
    #[arg(short, long, value_name = "FORM", value_parser = ["table", "json", "yaml"], default_value = "table")]
    output: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let findings = doctor::examine(context).await;
    let works = findings.iter().all(|finding| finding.status != Status::Fail);
    let text = match args.output.as_str() {
        "json" => format!("{:#}", value(&findings, works)),
        "yaml" => serde_yaml_ng::to_string(&value(&findings, works))
            .map_err(|error| CommandError::failed("no YAML could be made").because(&error))?
            .trim_end()
            .to_owned(),
        _ => table(&findings, works),
    };
    context.ui.result(&text);
    Ok(u8::from(!works))
}

fn value(findings: &[Finding], works: bool) -> Value {
    let checks: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "Check": finding.check,
                "Status": finding.status.name(),
                "Finding": finding.text,
                "Fix": finding.fix,
            })
        })
        .collect();
    json!({ "MachinesCanBeMade": works, "Checks": checks })
}

fn table(findings: &[Finding], works: bool) -> String {
    let widest = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for finding in findings {
        let (status, check) = (finding.status.name(), finding.check);
        lines.push(format!("{status:4}  {check:widest$}  {}", finding.text));
        if let Some(fix) = &finding.fix {
            lines.push(format!("{:4}  {:widest$}  fix: {fix}", "", ""));
        }
    }
    lines.push(String::new());
    lines.push(if works { "Machines can be made." } else { "No machine can be made." }.to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_and_what_helps_are_lines_of_a_table() {
        let findings = [
            Finding::ok("qemu", "QEMU 10.0.2"),
            Finding::warn("kvm", "permission denied", "join the group"),
            Finding::fail("guest image", "there is none", "install it"),
        ];
        insta::assert_snapshot!(table(&findings, false), @r"
        ok    qemu         QEMU 10.0.2
        warn  kvm          permission denied
                           fix: join the group
        fail  guest image  there is none
                           fix: install it

        No machine can be made.
        ");
        assert_eq!(value(&findings, true)["Checks"][1]["Status"], "warn");
    }
}
