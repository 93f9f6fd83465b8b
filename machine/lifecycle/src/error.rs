//! What can go wrong, of what kind it is, and what the user can do about it.
//!
//! Some texts are those that scripts written for docker-machine look for.

use crate::driver::DriverError;
use crate::{InvalidSpec, MachineName, State};

/// Why an operation on a machine failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -")]
    InvalidName { name: String },
    #[error("the name is too long: {length} characters, {longest} are allowed")]
    LongName { length: usize, longest: usize },
    #[error("the machine is not possible on this host")]
    Spec(#[from] InvalidSpec),
    #[error("Docker machine \"{name}\" already exists")]
    AlreadyExists { name: MachineName },
    #[error("Docker machine \"{name}\" does not exist")]
    NotFound { name: MachineName },
    #[error("machine \"{name}\" is not usable: its creation was interrupted")]
    Unfinished { name: MachineName },
    #[error("machine \"{name}\" is busy: another command works on it")]
    Busy { name: MachineName },
    #[error("Host is not running: machine \"{name}\" is {}", state.to_string().to_lowercase())]
    NotRunning { name: MachineName, state: State },
    #[error("hosts without a driver cannot be {action}: somebody else runs machine \"{name}\"")]
    NoVm { name: MachineName, action: &'static str },
    #[error("machine \"{name}\" cannot be {action}: it is {}", state.to_string().to_lowercase())]
    NotStopped { name: MachineName, action: &'static str, state: State },
    #[error("the {key} of machine \"{name}\" cannot be changed")]
    Fixed { name: MachineName, key: &'static str },
    #[error("machine \"{name}\" has a snapshot \"{snapshot}\" already")]
    SnapshotExists { name: MachineName, snapshot: MachineName },
    #[error("machine \"{name}\" has no snapshot \"{snapshot}\"")]
    SnapshotNotFound { name: MachineName, snapshot: MachineName },
    #[error("{path} is not usable")]
    Snapshot { path: std::path::PathBuf, source: serde_json::Error },
    #[error("machine \"{name}\" cannot be started: it is {}", state.to_string().to_lowercase())]
    NotStartable { name: MachineName, state: State },
    #[error("the guest image cannot be used")]
    Image(#[from] vm_images::Error),
    #[error("the machine's certificates could not be made")]
    Certificates(#[from] certs::Error),
    #[error("the machine's client certificate cannot be used")]
    ClientCertificate { name: MachineName, source: certs::Problem },
    #[error("the CA in {path} cannot be used")]
    Authority { path: std::path::PathBuf, source: certs::Problem },
    #[error("{path} exists already")]
    FileExists { path: std::path::PathBuf },
    #[error(transparent)]
    Transfer(#[from] crate::transfer::TransferError),
    #[error("{path} has an unknown acceleration")]
    Acceleration { path: std::path::PathBuf, source: crate::spec::UnknownAcceleration },
    #[error("the machine's files could not be read or written")]
    Store(#[from] machine_store::Error),
    #[error("the boot contract could not be written as JSON")]
    Contract(#[from] serde_json::Error),
    #[error("machine \"{name}\" could not be {action}")]
    Driver { name: MachineName, action: &'static str, source: DriverError },
}

/// What an error means for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for makes no sense.
    InvalidArgument,
    /// This host cannot do it.
    Unavailable,
    NotFound,
    /// Something is in the way.
    Conflict,
    WrongState,
    Timeout,
    Busy,
    Failed,
}

/// What a machine could not be, after which nothing of it is left.
const CREATED: &str = "created";
/// The same, but something is left.
const KEPT: &str = "created; what was made of it is kept";

impl Error {
    /// The same failure of a machine's very first start.
    pub(crate) fn on_creation(self) -> Self {
        match self {
            Self::Driver { name, source, .. } => Self::Driver { name, action: CREATED, source },
            other => other,
        }
    }

    /// The same failure, after which everything is left to be looked at.
    pub(crate) fn of_kept(self) -> Self {
        match self {
            Self::Driver { name, source, .. } => Self::Driver { name, action: KEPT, source },
            other => other,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::InvalidName { .. } | Self::LongName { .. } => Kind::InvalidArgument,
            Self::Spec(invalid) if invalid.is_malformed() => Kind::InvalidArgument,
            Self::Spec(_) | Self::Image(_) => Kind::Unavailable,
            Self::Fixed { .. } => Kind::InvalidArgument,
            Self::NoVm { .. } | Self::NotStopped { .. } => Kind::WrongState,
            Self::SnapshotExists { .. } => Kind::Conflict,
            Self::SnapshotNotFound { .. } => Kind::NotFound,
            Self::Snapshot { .. } => Kind::Failed,
            Self::AlreadyExists { .. } | Self::FileExists { .. } => Kind::Conflict,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Unfinished { .. } | Self::NotRunning { .. } | Self::NotStartable { .. } => {
                Kind::WrongState
            }
            Self::Busy { .. } => Kind::Busy,
            Self::Certificates(_)
            | Self::ClientCertificate { .. }
            | Self::Authority { .. }
            | Self::Transfer(_)
            | Self::Acceleration { .. }
            | Self::Store(_)
            | Self::Contract(_) => Kind::Failed,
            Self::Driver { source, .. } => match source {
                DriverError::QemuMissing { .. }
                | DriverError::QemuTooOld { .. }
                | DriverError::AccelerationUnusable { .. }
                | DriverError::NotEnoughMemory { .. } => Kind::Unavailable,
                DriverError::PortTaken { .. } => Kind::Conflict,
                DriverError::Busy { .. } => Kind::Busy,
                DriverError::Unsupervised { .. } | DriverError::StateMismatch { .. } => {
                    Kind::WrongState
                }
                DriverError::Timeout { .. } => Kind::Timeout,
                DriverError::Died { .. } | DriverError::System { .. } | DriverError::Failed(_) => {
                    Kind::Failed
                }
            },
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::InvalidName { .. } | Self::LongName { .. } => {
                "a name begins with a letter or digit, for example: machine create dev".into()
            }
            Self::Spec(invalid) => spec_hint(invalid),
            Self::AlreadyExists { name } => {
                format!("choose another name, or remove it first: machine rm {name}")
            }
            Self::NotFound { name } => {
                format!("`machine ls` lists the machines, `machine create {name}` makes this one")
            }
            Self::Unfinished { name } => {
                format!("make it again: machine create {name}; or remove it: machine rm {name}")
            }
            Self::Busy { .. } => "wait until the other command has ended, then try again".into(),
            Self::NotRunning { name, state: State::Paused } => {
                format!("let it go on: machine unpause {name}")
            }
            Self::NotRunning { name, state: State::Stopped | State::Saved } => {
                format!("start it: machine start {name}")
            }
            Self::NoVm { .. } => return None,
            Self::NotStopped { name, state: State::Saved, .. } => {
                format!("let it go on and end properly: machine start {name}; machine stop {name}")
            }
            Self::NotStopped { name, .. } => format!("stop it first: machine stop {name}"),
            Self::Fixed { name, key: "name" } => {
                format!("give it another name: machine rename {name} NEW")
            }
            Self::Fixed { .. } => "make another machine: machine create".into(),
            Self::SnapshotExists { name, snapshot } => format!(
                "choose another name, or remove it first: machine snapshot rm {name} {snapshot}"
            ),
            Self::SnapshotNotFound { name, .. } => {
                format!("`machine snapshot ls {name}` lists the snapshots")
            }
            Self::Snapshot { .. } => return None,
            Self::NotRunning { name, .. } | Self::NotStartable { name, .. } => format!(
                "look again in a moment: machine status {name}; or end it: machine kill {name}"
            ),
            Self::Image(error) => image_hint(error),
            Self::ClientCertificate { name, .. } => {
                format!("new certificates are made at the next start: machine restart {name}")
            }
            Self::Authority { .. } => "give another with --tls-ca-cert and --tls-ca-key, or have \
                                       one made: machine regenerate-certs --ca"
                .into(),
            Self::FileExists { path } => {
                format!("choose another place, or remove it first: rm {}", path.display())
            }
            Self::Transfer(error) => return error.hint(),
            Self::Certificates(certs::Error::Name(_)) => "correct --tls-san".into(),
            Self::Certificates(_) => "move the storage root's certs directory away: a new CA is \
                                      made, and machines get new certificates when they start"
                .into(),
            Self::Acceleration { path, .. } => format!("correct {}", path.display()),
            Self::Store(error) => return store_hint(error),
            Self::Contract(_) => return None,
            // The console goes with the machine; its last lines are all there is.
            Self::Driver { action: CREATED, source: DriverError::Died { .. }, .. } => return None,
            Self::Driver { name, action: KEPT, .. } => format!(
                "look at it: machine logs {name}, machine inspect {name}; then remove it: machine \
                 rm {name}"
            ),
            Self::Driver { name, source, .. } => return driver_hint(name, source),
        };
        Some(hint)
    }

    /// The last lines of the guest's console, where they say more than the error does.
    pub fn console(&self) -> &[String] {
        match self {
            Self::Driver {
                source: DriverError::Died { console, .. } | DriverError::Timeout { console, .. },
                ..
            } => console,
            _ => &[],
        }
    }
}

fn spec_hint(invalid: &InvalidSpec) -> String {
    match invalid {
        InvalidSpec::Cpus { .. } => "choose another --cpu-count",
        InvalidSpec::LittleMemory { .. } | InvalidSpec::MuchMemory { .. } => {
            "choose another --memory (in MB)"
        }
        InvalidSpec::DiskSize { .. } => "choose another --disk-size (in MB)",
        InvalidSpec::FullDisk { .. } => {
            "make room, or store machines elsewhere with --storage-path"
        }
        InvalidSpec::SmallerDisk { .. } => "choose a larger --disk-size (in MB)",
        InvalidSpec::Label(_) => "write it as --engine-label key=value",
        InvalidSpec::Variable(_) => "write it as --engine-env KEY=VALUE",
        InvalidSpec::Mirror(_) => "correct --engine-registry-mirror",
        InvalidSpec::Registry(_) => "correct --engine-insecure-registry",
        InvalidSpec::EngineOption(_) => "write it as --engine-opt key=value",
        InvalidSpec::StorageDriver(_) => "leave --engine-storage-driver away",
        InvalidSpec::Discovery(_) => "write it as --swarm-discovery token://…",
        InvalidSpec::Driver(_) => "leave --driver away: qemu is the usual one",
        InvalidSpec::NoUrl => "give it: --url tcp://HOST:PORT",
        InvalidSpec::NeedlessUrl => "leave --url away, or add --driver none",
        InvalidSpec::Url(_) => "write it as --url tcp://HOST:PORT",
        InvalidSpec::Acceleration(_) => "leave --accel away: the best that works is chosen",
        InvalidSpec::TlsName(_) => "correct --tls-san",
    }
    .to_owned()
}

fn image_hint(error: &vm_images::Error) -> String {
    match error {
        vm_images::Error::Missing { searched } => {
            let places: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
            format!(
                "searched: {}; build the image with scripts/quickstart, or name its directory \
                 in MACHINE_IMAGE_DIR",
                places.join(", ")
            )
        }
        vm_images::Error::Manifest { .. }
        | vm_images::Error::FileMissing { .. }
        | vm_images::Error::Damaged { .. } => {
            "install the image again (scripts/quickstart builds it); it is never booted like this"
                .to_owned()
        }
        vm_images::Error::Architecture { .. } => {
            "build the image on this kind of host, or name another directory in MACHINE_IMAGE_DIR"
                .to_owned()
        }
        vm_images::Error::Io { .. } => {
            "make sure that the image can be read and the disk is not full".to_owned()
        }
    }
}

fn store_hint(error: &machine_store::Error) -> Option<String> {
    match error {
        machine_store::Error::Io { .. } => Some(
            "make sure that the storage root can be written and its disk is not full \
             (--storage-path, MACHINE_STORAGE_PATH)"
                .to_owned(),
        ),
        machine_store::Error::Locked { .. } => {
            Some("wait until the other command has ended, then try again".to_owned())
        }
        machine_store::Error::Record { path, .. } => {
            Some(format!("correct {}, or remove the machine", path.display()))
        }
        machine_store::Error::NoPort { .. } => Some("remove machines that are not used".to_owned()),
    }
}

fn driver_hint(name: &MachineName, error: &DriverError) -> Option<String> {
    match error {
        DriverError::QemuMissing { .. } => Some(
            "install QEMU: apt-get install qemu-system-x86 (Debian, Ubuntu) or brew install \
             qemu (macOS)"
                .to_owned(),
        ),
        DriverError::QemuTooOld { .. } => Some("install a newer QEMU".to_owned()),
        DriverError::AccelerationUnusable { .. } => {
            Some("leave --accel away: the best that works is chosen".to_owned())
        }
        DriverError::PortTaken { port } => {
            Some(format!("end the program that listens on port {port}, then try again"))
        }
        DriverError::NotEnoughMemory { .. } => {
            Some("end other programs or machines, or choose less --memory".to_owned())
        }
        DriverError::Busy { .. } => {
            Some("wait until the other command has ended, then try again".to_owned())
        }
        DriverError::Unsupervised { .. } => {
            Some(format!("give it a new one, without a restart: machine start {name}"))
        }
        DriverError::StateMismatch { .. } => Some(format!(
            "start without it, as after a power cut: machine start --discard-state {name}"
        )),
        DriverError::Timeout { .. } => {
            Some("on a slow or busy host give it more time with --timeout SECONDS".to_owned())
        }
        DriverError::Died { .. } => Some(format!("the whole console: machine logs {name}")),
        DriverError::System { .. } | DriverError::Failed(_) => None,
    }
}
