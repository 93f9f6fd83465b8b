//! `machine version`: of this program, or of a machine's engine.

use std::time::Duration;

use serde_json::json;
use vm_images::Image;

use super::{DONE, Outcome, names};
use crate::error::CommandError;
use crate::{Context, arguments, engine};

const LIMIT: Duration = Duration::from_secs(10);

/// Print the version of this program, or that of a machine's Docker engine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine whose engine is meant
    name: Option<String>,

    /// How to print
    #[arg(short, long, value_name = "FORM", value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let is_json = args.output == "json";
    let Some(name) = &args.name else {
        let program = context.program();
        if is_json {
            context.ui.result(&format!("{:#}", of_program(&program, context)));
        } else {
            context.ui.result(&arguments::version(&program));
        }
        return DONE;
    };
    let name = names::existing(name, context)?;
    let connection = context.machines.connect(&name).await?;
    let version = engine::version(&connection, LIMIT).await.map_err(|error| {
        CommandError::failed(format!("the engine of \"{name}\" did not tell its version"))
            .because(&error)
            .hint(format!("what the machine says: {} logs {name}", context.program()))
    })?;
    if is_json {
        let version = json!({"Name": name.as_str(), "EngineVersion": version});
        context.ui.result(&format!("{version:#}"));
    } else {
        context.ui.result(&version);
    }
    DONE
}

fn of_program(program: &str, context: &Context) -> serde_json::Value {
    let image = context.images.find().and_then(|path| Image::open(&path)).ok();
    json!({
        "Name": program,
        "Version": env!("CARGO_PKG_VERSION"),
        "Build": env!("MACHINE_BUILD"),
        "Os": std::env::consts::OS,
        "Architecture": std::env::consts::ARCH,
        // What identifies the guest image that new machines get.
        "Image": image.as_ref().map(Image::digest),
    })
}
