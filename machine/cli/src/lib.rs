//! The `machine` command line, apart from its wiring: every effect on the outside comes in through
//! a [`World`], so that tests can look at whole runs.

mod arguments;
mod autostart;
mod clients;
mod commands;
mod completion;
mod console_log;
mod doctor;
mod engine;
mod ephemeral;
mod error;
mod local_command;
mod own_authority;
mod size;
mod ssh;
mod table;
mod template;
mod ui;

pub use completion::complete;
pub use ui::Ui;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use machine_lifecycle::driver::Driver;
use machine_lifecycle::{Capacity, Machines};
use machine_store::Store;
use vm_images::Location;

use error::{CommandError, Manner};

/// What surrounds one run of the command.
pub struct World {
    /// With the program's own name first.
    pub arguments: Vec<String>,
    pub variables: BTreeMap<String, String>,
    /// Where this program lies; the guest image is found from there.
    pub executable: PathBuf,
    pub driver: Arc<dyn Driver>,
    pub capacity: fn(&Store) -> Capacity,
    pub ui: Ui,
}

/// What a command works with.
pub(crate) struct Context {
    pub(crate) machines: Machines,
    pub(crate) ui: Ui,
    pub(crate) variables: BTreeMap<String, String>,
    /// As it was typed.
    pub(crate) arguments: Vec<String>,
    pub(crate) capacity: Capacity,
    /// This program.
    pub(crate) executable: PathBuf,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) images: Location,
    pub(crate) manner: Manner,
    pub(crate) tls: TlsFiles,
    /// Never the ssh that is installed.
    pub(crate) native_ssh: bool,
}

/// Files that were named on the command line or in the environment, to be used instead of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) ca_certificate: Option<PathBuf>,
    pub(crate) ca_key: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
}

impl Context {
    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the command is called.
    pub(crate) fn program(&self) -> String {
        arguments::program(&self.arguments)
    }
}

/// Runs the command; the answer is its exit code.
pub async fn run(mut world: World) -> u8 {
    let manner = arguments::manner(&world.arguments);
    world.ui = world.ui.in_manner_of(manner);
    let mut cli = match arguments::parse(&world.arguments) {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error, &world, manner),
    };
    if cli.version {
        world.ui.result(&arguments::version(&arguments::program(&world.arguments)));
        return 0;
    }
    let Some(command) = cli.command.take() else {
        world.ui.result(&arguments::help(&world.arguments, None));
        return 0;
    };
    if manner == Manner::DockerMachine && command.announces() {
        world.ui = world.ui.announcing_on_stdout();
    }
    if cli.debug || is_on(&world, "MACHINE_DEBUG") {
        world.ui = world.ui.debugging();
    }
    let ui = world.ui.clone();
    let outcome = match context(world, cli) {
        Ok(context) => match own_authority::apply(&context) {
            Ok(()) => {
                ephemeral::sweep(&context).await;
                command.run(&context).await
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let code = outcome.unwrap_or_else(|error| {
        ui.failure(&error);
        error.code_in(manner)
    });
    ui.debug(&format!("exit code {code}"));
    code
}

/// A command line that is wrong, or asks for help.
fn misunderstood(error: &clap::Error, world: &World, manner: Manner) -> u8 {
    match arguments::mistake(error, &world.arguments) {
        Some(mistake) => {
            world.ui.failure(&mistake);
            mistake.code_in(manner)
        }
        None => world.ui.usage(error),
    }
}

fn context(world: World, cli: arguments::Cli) -> Result<Context, CommandError> {
    let set = |name: &str| world.variables.get(name).filter(|value| !value.is_empty());
    let path = |given: Option<PathBuf>, name: &str| given.or_else(|| set(name).map(PathBuf::from));
    let root = path(cli.storage_path, "MACHINE_STORAGE_PATH")
        .or_else(|| dirs::home_dir().map(|home| home.join(".machine")))
        .ok_or_else(|| {
            CommandError::failed("there is no home directory").hint("give --storage-path DIR")
        })?;
    let tls = TlsFiles {
        ca_certificate: path(cli.tls_ca_cert, "MACHINE_TLS_CA_CERT"),
        ca_key: path(cli.tls_ca_key, "MACHINE_TLS_CA_KEY"),
        client_certificate: path(cli.tls_client_cert, "MACHINE_TLS_CLIENT_CERT"),
        client_key: path(cli.tls_client_key, "MACHINE_TLS_CLIENT_KEY"),
    };
    let store = Store::open(&root).map_err(machine_lifecycle::Error::from)?;
    world.ui.debug(&arguments::version(&arguments::program(&world.arguments)));
    world.ui.debug(&format!("machines are stored in {}", store.layout().root().display()));
    let images = Location::new(set("MACHINE_IMAGE_DIR").map(PathBuf::from), &world.executable);
    let native_ssh = cli.native_ssh || is_on(&world, "MACHINE_NATIVE_SSH");
    let capacity = (world.capacity)(&store);
    let machines = Machines::new(store, Arc::clone(&world.driver), images.clone())
        .with_capacity(world.capacity);
    Ok(Context {
        machines,
        manner: arguments::manner(&world.arguments),
        ui: world.ui,
        variables: world.variables,
        arguments: world.arguments,
        capacity,
        executable: world.executable,
        driver: world.driver,
        images,
        tls,
        native_ssh,
    })
}

/// A variable that says yes.
fn is_on(world: &World, variable: &str) -> bool {
    let value = world.variables.get(variable).map(|value| value.to_lowercase());
    value.is_some_and(|value| !["", "0", "false", "no", "off"].contains(&value.as_str()))
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}
