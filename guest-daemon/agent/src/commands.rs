//! The commands of the guest agent protocol that this guest knows.

mod facts;

use serde_json::{Value, json};

use crate::system::{Ending, System};

/// Every command, and whether its success is answered. Sorted.
const COMMANDS: &[(&str, bool)] = &[
    ("guest-fsfreeze-freeze", true),
    ("guest-fsfreeze-status", true),
    ("guest-fsfreeze-thaw", true),
    ("guest-get-host-name", true),
    ("guest-get-osinfo", true),
    ("guest-get-time", true),
    ("guest-info", true),
    ("guest-network-get-interfaces", true),
    ("guest-ping", true),
    ("guest-set-time", true),
    ("guest-shutdown", false),
    ("guest-sync", true),
    ("guest-sync-delimited", true),
];

/// How a command ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Value(Value),
    /// With a byte before it by which the host finds it.
    Delimited(Value),
    /// The host expects no answer.
    Silence,
}

/// Why a command failed.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) class: &'static str,
    pub(crate) description: String,
}

impl Failure {
    pub(crate) fn generic(description: impl ToString) -> Self {
        Failure { class: "GenericError", description: description.to_string() }
    }
}

#[derive(Debug)]
pub(crate) struct Agent<S> {
    system: S,
    frozen: bool,
}

impl<S: System> Agent<S> {
    pub(crate) fn new(system: S) -> Self {
        Agent { system, frozen: false }
    }

    pub(crate) async fn run(&mut self, name: &str, arguments: &Value) -> Result<Outcome, Failure> {
        let value = match name {
            "guest-ping" => json!({}),
            "guest-sync" => integer(arguments, "id")?.into(),
            "guest-sync-delimited" => {
                return Ok(Outcome::Delimited(integer(arguments, "id")?.into()));
            }
            "guest-info" => info(),
            "guest-get-time" => self.system.time().into(),
            "guest-set-time" => self.set_time(arguments)?,
            "guest-shutdown" => return self.shut_down(arguments).await,
            "guest-network-get-interfaces" => facts::interfaces().map_err(Failure::generic)?,
            "guest-get-osinfo" => facts::system(),
            "guest-get-host-name" => json!({ "host-name": facts::host_name() }),
            "guest-fsfreeze-status" => if self.frozen { "frozen" } else { "thawed" }.into(),
            "guest-fsfreeze-freeze" => self.freeze()?,
            "guest-fsfreeze-thaw" => self.thaw()?,
            _ => {
                return Err(Failure {
                    class: "CommandNotFound",
                    description: format!("The command {name} has not been found"),
                });
            }
        };
        Ok(Outcome::Value(value))
    }

    fn set_time(&self, arguments: &Value) -> Result<Value, Failure> {
        let time = integer(arguments, "time")?;
        if time < 0 {
            return Err(Failure::generic("the time is before 1970"));
        }
        self.system.set_time(time).map_err(Failure::generic)?;
        Ok(json!({}))
    }

    async fn shut_down(&self, arguments: &Value) -> Result<Outcome, Failure> {
        let ending = match arguments.get("mode").and_then(Value::as_str) {
            None | Some("powerdown" | "halt") => Ending::PowerOff,
            Some("reboot") => Ending::Reboot,
            Some(_) => {
                return Err(Failure::generic("the mode is none of powerdown, halt and reboot"));
            }
        };
        self.system.end(ending).await.map_err(Failure::generic)?;
        Ok(Outcome::Silence)
    }

    /// Answers how many filesystems are frozen; there is one that is worth it.
    fn freeze(&mut self) -> Result<Value, Failure> {
        if !self.frozen {
            self.system.freeze().map_err(Failure::generic)?;
            self.frozen = true;
        }
        Ok(1.into())
    }

    /// Answers how many filesystems were thawed. Tries even when nothing is known to be frozen:
    /// an earlier daemon may have done it.
    fn thaw(&mut self) -> Result<Value, Failure> {
        let thawed = self.system.thaw();
        if std::mem::take(&mut self.frozen) {
            thawed.map_err(Failure::generic)?;
            return Ok(1.into());
        }
        Ok(i32::from(thawed.is_ok()).into())
    }
}

fn info() -> Value {
    let commands: Vec<Value> = COMMANDS
        .iter()
        .map(
            |(name, answers)| json!({ "name": name, "enabled": true, "success-response": answers }),
        )
        .collect();
    json!({ "version": env!("CARGO_PKG_VERSION"), "supported_commands": commands })
}

fn integer(arguments: &Value, name: &str) -> Result<i64, Failure> {
    arguments
        .get(name)
        .and_then(Value::as_i64)
        .ok_or_else(|| Failure::generic(format!("Parameter '{name}' is missing or no integer")))
}
