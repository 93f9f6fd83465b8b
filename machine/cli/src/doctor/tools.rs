//! Programs that people use with machines.

use super::{Finding, in_path, output, told};
use crate::Context;

pub(super) async fn examine(context: &Context) -> Vec<Finding> {
    vec![docker(context).await, ssh(context).await]
}

async fn docker(context: &Context) -> Finding {
    let fix = "install the docker command (the client is enough): apt-get install docker-cli, \
               brew install docker, or docs.docker.com/engine/install";
    version("docker", "--version", "there is no docker command to talk to machines", fix, context)
        .await
}

async fn ssh(context: &Context) -> Finding {
    let missing = "there is no ssh command; machine ssh uses its own, scp and mount need it";
    let fix = "install OpenSSH's client: apt-get install openssh-client";
    version("ssh", "-V", missing, fix, context).await
}

/// The first line that a program says of itself, on whichever stream.
async fn version(
    name: &'static str,
    argument: &str,
    missing: &str,
    fix: &str,
    context: &Context,
) -> Finding {
    let Some(program) = in_path(name, context) else { return Finding::warn(name, missing, fix) };
    match output(&program, &[argument]).await {
        Ok(output) if output.status.success() => {
            let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
            let said = String::from_utf8_lossy(&said);
            let line = said.lines().next().unwrap_or_default().trim();
            Finding::ok(name, format!("{line} ({})", program.display()))
        }
        Ok(output) => {
            Finding::warn(name, format!("{} fails: {}", program.display(), output.status), fix)
        }
        Err(error) => {
            Finding::warn(name, format!("{} fails: {}", program.display(), told(&error)), fix)
        }
    }
}
