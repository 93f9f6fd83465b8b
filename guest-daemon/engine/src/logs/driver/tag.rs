//! Tags: text with Go template actions of the kinds that Docker documents for logs. Others are an
//! error and not a surprise in the log.

use super::attributes::Subject;
use crate::error::{Error, Result};
use crate::ids;

/// Fills in `{{.Name}}`, `{{index .ContainerLabels "key"}}`, `{{(.ExtraAttributes nil).KEY}}`,
/// each with `lower`, `upper` or `title` behind a `|`, or before it.
pub(super) fn fill(template: &str, subject: &Subject<'_>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((text, action)) = rest.split_once("{{") {
        let (action, after) = action
            .split_once("}}")
            .ok_or_else(|| Error::invalid("template: log-tag:1: unclosed action"))?;
        filled += text;
        filled += &value(action.trim(), subject)?;
        rest = after;
    }
    Ok(filled + rest)
}

fn value(action: &str, subject: &Subject<'_>) -> Result<String> {
    let mut steps = action.split('|').map(str::trim);
    let first = steps.next().unwrap_or_default();
    let (function, operand) = match first.split_once(' ') {
        Some((function, operand)) if changed(function, "").is_some() => (function, operand),
        _ => ("", first),
    };
    let unknown = || {
        Error::invalid(format!(
            "template: log-tag:1: {{{{{action}}}}} is not supported: use fields such as \
             {{{{.Name}}}}, {{{{.ID}}}} or {{{{.ImageName}}}}"
        ))
    };
    let mut value = operand_value(operand.trim(), subject).ok_or_else(unknown)?;
    for function in std::iter::once(function).filter(|name| !name.is_empty()).chain(steps) {
        value = changed(function, &value).ok_or_else(unknown)?;
    }
    Ok(value)
}

fn changed(function: &str, value: &str) -> Option<String> {
    match function {
        "lower" => Some(value.to_lowercase()),
        "upper" => Some(value.to_uppercase()),
        "title" => {
            let mut letters = value.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>());
            Some(first.unwrap_or_default() + letters.as_str())
        }
        _ => None,
    }
}

fn operand_value(operand: &str, subject: &Subject<'_>) -> Option<String> {
    let record = subject.record;
    let labels = &record.config.labels;
    if let Some(key) = operand.strip_prefix("index .ContainerLabels ") {
        let key = key.trim().strip_prefix('"')?.strip_suffix('"')?;
        return Some(labels.get(key).cloned().unwrap_or_default());
    }
    if let Some(key) = operand.strip_prefix("(.ExtraAttributes nil).") {
        let found = subject.attributes(&without_tag(&record.host.log_config), "").ok()?;
        return Some(found.get(key).cloned().unwrap_or_else(|| "<no value>".to_owned()));
    }
    let image = record.image.strip_prefix("sha256:").unwrap_or(&record.image);
    let entrypoint = || std::iter::once(&record.path).chain(&record.args);
    Some(match operand {
        ".ID" => ids::short(&record.id).to_owned(),
        ".FullID" | ".ContainerID" => record.id.clone(),
        ".Name" => record.name.clone(),
        ".ContainerName" => format!("/{}", record.name),
        ".Command" => entrypoint().map(String::as_str).collect::<Vec<_>>().join(" "),
        ".ContainerEntrypoint" => record.path.clone(),
        ".ImageID" => image.get(..12).unwrap_or(image).to_owned(),
        ".ImageFullID" | ".ContainerImageID" => record.image.clone(),
        ".ImageName" | ".ContainerImageName" => record.config.image.clone(),
        ".DaemonName" => "docker".to_owned(),
        ".Hostname" => subject.host.to_owned(),
        _ => return None,
    })
}

/// A tag that asks for what contains it would never end.
fn without_tag(config: &crate::config::LogConfig) -> crate::config::LogConfig {
    let mut config = config.clone();
    config.options.remove("tag");
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_store::objects::ContainerRecord;

    #[test]
    fn the_documented_fields_are_filled_in() {
        let mut record = ContainerRecord {
            id: "0123456789abcdef".into(),
            name: "web".into(),
            image: "sha256:fedcba9876543210".into(),
            path: "sh".into(),
            args: vec!["-c".into(), "true".into()],
            ..Default::default()
        };
        record.config.image = "busybox".into();
        record.config.labels.insert("a.b".into(), "Label".into());
        record.config.env = vec!["OS=linux".into()];
        record.host.log_config.options =
            [("env".into(), "OS".into()), ("tag".into(), "x".into())].into();
        let subject = Subject { record: &record, host: "dev" };
        for (template, expected) in [
            ("plain", "plain"),
            ("{{.ImageName}}/{{ .Name }}/{{.ID}}", "busybox/web/0123456789ab"),
            ("{{.ImageID}} {{.Command}}", "fedcba987654 sh -c true"),
            ("{{index .ContainerLabels \"a.b\" | lower}}", "label"),
            ("{{upper .DaemonName}}-{{.Hostname}}", "DOCKER-dev"),
            ("{{(.ExtraAttributes nil).OS}}", "linux"),
        ] {
            assert_eq!(fill(template, &subject).unwrap(), expected);
        }
        for wrong in ["{{.Name", "{{range .X}}", "{{.NoSuch}}", "{{.Name | nosuch}}"] {
            assert!(fill(wrong, &subject).is_err(), "{wrong}");
        }
    }
}
