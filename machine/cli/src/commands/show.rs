//! `machine show`: what a machine is like, as it can be written down.

use super::{DONE, Outcome, names};
use crate::Context;
use crate::error::CommandError;

/// The form of what `create -f` reads and `edit` and `show` write.
const SCHEMA: &str = include_str!("../../../machine.schema.json");

/// Print the configuration of a machine
///
/// It is what `create -f` takes: machine show dev | machine create -f - copy
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,

    /// How to print
    #[arg(short, long, value_name = "FORM", value_parser = ["yaml", "json"], default_value = "yaml")]
    output: String,

    /// Print the JSON schema of configurations instead
    #[arg(long, conflicts_with_all = ["name", "output"])]
    schema: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    if args.schema {
        context.ui.result(SCHEMA.trim_end());
        return DONE;
    }
    let name = names::one(args.name.as_deref(), context)?;
    let config = context.machines.config(&name)?;
    let text = match args.output.as_str() {
        "json" => serde_json::to_string_pretty(&config)
            .map_err(|error| CommandError::failed("no JSON could be made").because(&error))?,
        _ => config
            .to_yaml()
            .map_err(|error| CommandError::failed("no YAML could be made").because(&error))?,
    };
    context.ui.result(text.trim_end());
    DONE
}

#[cfg(test)]
mod tests {
    use machine_lifecycle::{MachineConfig, Size};
    use machine_store::{EngineRecord, SwarmRecord};
    use serde_json::Value;

    fn words(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    /// Every key there is.
    fn full() -> MachineConfig {
        let text = || Some("x".to_owned());
        MachineConfig {
            name: text(),
            driver: text(),
            url: text(),
            cpus: Some(1),
            memory: Some(Size(2048)),
            disk: Some(Size(1)),
            acceleration: text(),
            tls_names: words("x"),
            engine: EngineRecord {
                labels: words("x=y"),
                env: words("x=y"),
                insecure_registries: words("x"),
                registry_mirrors: words("x"),
                storage_driver: text(),
                options: words("x"),
                install_url: text(),
            },
            swarm: Some(SwarmRecord {
                options: words("x"),
                join_options: words("x"),
                ..SwarmRecord::default()
            }),
        }
    }

    /// The keys of an example are those of its schema, and their types too.
    fn compare(schema: &Value, example: &Value, place: &str) {
        let types = &schema["type"];
        let found = match example {
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "integer",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
        };
        let allowed = types == found
            || types.as_array().is_some_and(|types| types.iter().any(|one| one == found));
        assert!(allowed, "{place} is {found}, the schema says {types}");
        if let Value::Object(fields) = example {
            assert_eq!(schema["additionalProperties"], false, "{place}");
            let properties = schema["properties"].as_object().unwrap();
            let keys = |map: &serde_json::Map<String, Value>| {
                map.keys().cloned().collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(keys(properties), keys(fields), "{place}");
            for (key, value) in fields {
                assert!(properties[key]["description"].is_string(), "{place}.{key}");
                compare(&properties[key], value, &format!("{place}.{key}"));
            }
        }
        for item in example.as_array().into_iter().flatten() {
            compare(&schema["items"], item, place);
        }
    }

    #[test]
    fn the_schema_and_the_program_know_the_same_keys() {
        let schema: Value = serde_json::from_str(super::SCHEMA).unwrap();
        compare(&schema, &serde_json::to_value(full()).unwrap(), "machine");
    }
}
