//! One file for each command: its arguments and what it does.

mod active;
mod config;
mod create;
mod env;
mod inspect;
mod ip;
mod kill;
mod logs;
mod ls;
mod names;
mod restart;
mod rm;
mod shells;
mod ssh;
mod start;
mod status;
mod stop;
mod url;
mod version;

use clap::Subcommand;

use crate::Context;
use crate::error::CommandError;

/// The exit code of a command that worked is its own business: `ssh` passes one on.
pub(crate) type Outcome = Result<u8, CommandError>;

pub(crate) const DONE: Outcome = Ok(0);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Active(active::Args),
    Config(config::Args),
    Create(create::Args),
    Env(env::Args),
    Inspect(inspect::Args),
    Ip(ip::Args),
    Kill(kill::Args),
    Logs(logs::Args),
    Ls(ls::Args),
    Restart(restart::Args),
    Rm(rm::Args),
    Ssh(ssh::Args),
    Start(start::Args),
    Status(status::Args),
    Stop(stop::Args),
    Url(url::Args),
    Version(version::Args),
    /// Run one virtual machine and answer for it (started by the other commands)
    #[command(hide = true)]
    Supervise,
}

impl Command {
    pub(crate) async fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::Active(args) => active::run(args, context).await,
            Self::Config(args) => config::run(args, context).await,
            Self::Create(args) => create::run(args, context).await,
            Self::Env(args) => env::run(args, context).await,
            Self::Inspect(args) => inspect::run(args, context).await,
            Self::Ip(args) => ip::run(args, context).await,
            Self::Kill(args) => kill::run(args, context).await,
            Self::Logs(args) => logs::run(args, context).await,
            Self::Ls(args) => ls::run(args, context).await,
            Self::Restart(args) => restart::run(args, context).await,
            Self::Rm(args) => rm::run(args, context).await,
            Self::Ssh(args) => ssh::run(args, context).await,
            Self::Start(args) => start::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Stop(args) => stop::run(args, context).await,
            Self::Url(args) => url::run(args, context).await,
            Self::Version(args) => version::run(args, context).await,
            // The program's entry takes it before anything else is set up.
            Self::Supervise => Err(CommandError::usage("supervise must be the first argument")),
        }
    }
}
