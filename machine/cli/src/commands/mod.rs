//! One file for each command: its arguments and what it does.

mod active;
mod autostart;
mod certs;
mod clone;
mod completion;
mod config;
mod console;
mod create;
mod doctor;
mod edit;
mod env;
mod exec;
mod export;
mod import;
mod inspect;
mod ip;
mod kill;
mod logs;
mod ls;
mod machine_flags;
mod man;
mod mount;
pub(crate) mod names;
mod pause;
mod provision;
mod regenerate_certs;
mod remove_after;
mod rename;
mod restart;
mod rm;
mod run;
mod scp;
mod set;
mod shells;
mod show;
mod snapshot;
mod ssh;
mod ssh_config;
mod start;
mod status;
mod stop;
mod suspend;
mod swarm;
mod unpause;
mod upgrade;
mod url;
mod use_;
mod version;

use clap::Subcommand;

use crate::Context;
use crate::error::CommandError;

/// The exit code of a command that worked is its own business: `ssh` passes one on.
pub(crate) type Outcome = Result<u8, CommandError>;

pub(crate) const DONE: Outcome = Ok(0);

/// The commands by what they are for, for the help.
pub(crate) const GROUPS: [(&str, &[&str]); 7] = [
    (
        "Machines",
        &["create", "ls", "start", "stop", "restart", "kill", "rm", "status", "inspect", "run"],
    ),
    ("Docker", &["env", "use", "exec", "active", "url", "ip", "config", "version"]),
    ("Inside a machine", &["ssh", "scp", "mount", "logs", "console", "ssh-config"]),
    ("Changing a machine", &["set", "edit", "show", "rename", "clone", "upgrade", "provision"]),
    (
        "Pausing and keeping",
        &["pause", "unpause", "suspend", "snapshot", "export", "import", "autostart"],
    ),
    ("Certificates", &["certs", "regenerate-certs"]),
    ("This program", &["doctor", "completion", "man", "help"]),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Active(active::Args),
    Autostart(autostart::Args),
    Certs(certs::Args),
    Clone(clone::Args),
    Completion(completion::Args),
    Config(config::Args),
    Console(console::Args),
    Create(create::Args),
    Doctor(doctor::Args),
    Edit(edit::Args),
    Env(env::Args),
    Exec(exec::Args),
    Export(export::Args),
    Import(import::Args),
    Inspect(inspect::Args),
    Ip(ip::Args),
    Kill(kill::Args),
    Logs(logs::Args),
    Ls(ls::Args),
    Man(man::Args),
    Mount(mount::Args),
    Pause(pause::Args),
    Provision(provision::Args),
    RegenerateCerts(regenerate_certs::Args),
    Rename(rename::Args),
    Restart(restart::Args),
    Rm(rm::Args),
    Run(run::Args),
    Scp(scp::Args),
    Set(set::Args),
    Show(show::Args),
    Snapshot(snapshot::Args),
    Ssh(ssh::Args),
    SshConfig(ssh_config::Args),
    Start(start::Args),
    Status(status::Args),
    Stop(stop::Args),
    Suspend(suspend::Args),
    Unpause(unpause::Args),
    Upgrade(upgrade::Args),
    Url(url::Args),
    Use(use_::Args),
    Version(version::Args),
    /// Remove the machine of a `run` that is gone (started by `run`)
    #[command(hide = true)]
    RemoveAfter(remove_after::Args),
    /// Run one virtual machine and answer for it (started by the other commands)
    #[command(hide = true)]
    Supervise,
}

impl Command {
    /// Whether docker-machine told on stdout what this command is about to do.
    pub(crate) fn announces(&self) -> bool {
        matches!(
            self,
            Self::Create(_)
                | Self::Kill(_)
                | Self::Provision(_)
                | Self::RegenerateCerts(_)
                | Self::Restart(_)
                | Self::Rm(_)
                | Self::Start(_)
                | Self::Stop(_)
                | Self::Upgrade(_)
        )
    }

    pub(crate) async fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::Active(args) => active::run(args, context).await,
            Self::Autostart(args) => autostart::run(args, context).await,
            Self::Certs(args) => certs::run(args, context).await,
            Self::Clone(args) => clone::run(args, context).await,
            Self::Completion(args) => completion::run(args, context).await,
            Self::Config(args) => config::run(args, context).await,
            Self::Console(args) => console::run(args, context).await,
            Self::Create(args) => create::run(args, context).await,
            Self::Doctor(args) => doctor::run(args, context).await,
            Self::Edit(args) => edit::run(args, context).await,
            Self::Env(args) => env::run(args, context).await,
            Self::Exec(args) => exec::run(args, context).await,
            Self::Export(args) => export::run(args, context).await,
            Self::Import(args) => import::run(args, context).await,
            Self::Inspect(args) => inspect::run(args, context).await,
            Self::Ip(args) => ip::run(args, context).await,
            Self::Kill(args) => kill::run(args, context).await,
            Self::Logs(args) => logs::run(args, context).await,
            Self::Ls(args) => ls::run(args, context).await,
            Self::Man(args) => man::run(args, context).await,
            Self::Mount(args) => mount::run(args, context).await,
            Self::Pause(args) => pause::run(args, context).await,
            Self::Provision(args) => provision::run(args, context).await,
            Self::RegenerateCerts(args) => regenerate_certs::run(args, context).await,
            Self::RemoveAfter(args) => remove_after::run(args, context).await,
            Self::Rename(args) => rename::run(args, context).await,
            Self::Restart(args) => restart::run(args, context).await,
            Self::Rm(args) => rm::run(args, context).await,
            Self::Run(args) => run::run(args, context).await,
            Self::Scp(args) => scp::run(args, context).await,
            Self::Set(args) => set::run(args, context).await,
            Self::Show(args) => show::run(args, context).await,
            Self::Snapshot(args) => snapshot::run(args, context).await,
            Self::Ssh(args) => ssh::run(args, context).await,
            Self::SshConfig(args) => ssh_config::run(args, context).await,
            Self::Start(args) => start::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Stop(args) => stop::run(args, context).await,
            Self::Suspend(args) => suspend::run(args, context).await,
            Self::Unpause(args) => unpause::run(args, context).await,
            Self::Upgrade(args) => upgrade::run(args, context).await,
            Self::Url(args) => url::run(args, context).await,
            Self::Use(args) => use_::run(args, context).await,
            Self::Version(args) => version::run(args, context).await,
            // The program's entry takes it before anything else is set up.
            Self::Supervise => Err(CommandError::usage("supervise must be the first argument")),
        }
    }
}
