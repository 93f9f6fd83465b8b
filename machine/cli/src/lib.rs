//! The `machine` command line, apart from its wiring: every effect on the outside comes in through
//! a [`World`], so that tests can look at whole runs.

mod arguments;
mod commands;
mod engine;
mod error;
mod ssh;
mod table;
mod ui;

pub use ui::Ui;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use machine_lifecycle::driver::Driver;
use machine_lifecycle::{Capacity, Machines};
use machine_store::Store;
use vm_images::Location;

use error::CommandError;

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
pub async fn run(world: World) -> u8 {
    let ui = world.ui.clone();
    let cli = match arguments::parse(&world.arguments) {
        Ok(cli) => cli,
        Err(error) => return ui.usage(&error),
    };
    let Some(command) = cli.command else {
        ui.result(&arguments::help(&world.arguments));
        return 0;
    };
    let outcome = match context(world, cli.storage_path) {
        Ok(context) => command.run(&context).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        ui.failure(&error);
        error.code()
    })
}

fn context(world: World, storage_path: Option<PathBuf>) -> Result<Context, CommandError> {
    let set = |name: &str| world.variables.get(name).filter(|value| !value.is_empty());
    let root = storage_path
        .or_else(|| set("MACHINE_STORAGE_PATH").map(PathBuf::from))
        .or_else(|| dirs::home_dir().map(|home| home.join(".machine")))
        .ok_or_else(|| {
            CommandError::failed("there is no home directory").hint("give --storage-path DIR")
        })?;
    let store = Store::open(&root).map_err(machine_lifecycle::Error::from)?;
    let images = Location::new(set("MACHINE_IMAGE_DIR").map(PathBuf::from), &world.executable);
    let capacity = (world.capacity)(&store);
    let machines = Machines::new(store, world.driver, images).with_capacity(world.capacity);
    Ok(Context {
        machines,
        ui: world.ui,
        variables: world.variables,
        arguments: world.arguments,
        capacity,
    })
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}
