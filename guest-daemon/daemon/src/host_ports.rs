//! The host's ports that this machine uses. They are noted in memory that outlives the daemon, so
//! that the next one can tell the host which of them are still needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boot::{Forward, Protocol};

const PATH: &str = "/run/machine/forwards.json";

#[derive(Debug, Default)]
pub(crate) struct HostPorts {
    forwards: Vec<Forward>,
    /// Where they are noted; nowhere before the earlier daemon's have been loaded.
    path: Option<PathBuf>,
}

impl HostPorts {
    /// Those of an earlier daemon that are still in use.
    pub(crate) fn load(in_use: impl Fn(Protocol, u16) -> bool) -> Self {
        Self::load_from(Path::new(PATH), in_use)
    }

    fn load_from(path: &Path, in_use: impl Fn(Protocol, u16) -> bool) -> Self {
        let mut forwards: Vec<Forward> = match read(path) {
            Ok(forwards) => forwards,
            Err(error) => {
                tracing::warn!(%error, "forwarded ports of an earlier daemon are not known");
                Vec::new()
            }
        };
        forwards.retain(|forward| in_use(forward.protocol, forward.host_port));
        HostPorts { forwards, path: Some(path.to_owned()) }
    }

    pub(crate) fn all(&self) -> Vec<Forward> {
        self.forwards.clone()
    }

    pub(crate) fn insert(&mut self, forward: Forward) {
        if !self.forwards.contains(&forward) {
            self.forwards.push(forward);
        }
        self.note();
    }

    pub(crate) fn remove(&mut self, forward: &Forward) {
        self.forwards.retain(|known| known != forward);
        self.note();
    }

    /// Adds those that were loaded to those that were published meanwhile.
    pub(crate) fn merge(&mut self, loaded: HostPorts) {
        self.path = loaded.path;
        for forward in loaded.forwards {
            if !self.forwards.contains(&forward) {
                self.forwards.push(forward);
            }
        }
        self.note();
    }

    fn note(&self) {
        let Some(path) = &self.path else { return };
        if let Err(error) = write(path, &self.forwards) {
            tracing::warn!(%error, "forwarded ports are not noted");
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<Forward>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Replaces the file at once; it need not survive the machine.
fn write(path: &Path, forwards: &[Forward]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(forwards)?)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(host_port: u16) -> Forward {
        Forward {
            protocol: Protocol::Tcp,
            host_ip: String::new(),
            host_port,
            guest_port: host_port,
        }
    }

    #[test]
    fn the_next_daemon_knows_the_ports_still_in_use_and_those_published_while_it_began() {
        let path = std::env::temp_dir().join(format!("host-ports-{}.json", std::process::id()));
        let mut earlier = HostPorts::load_from(&path, |_, _| true);
        assert_eq!(earlier.all(), []);
        (80..84).for_each(|port| earlier.insert(forward(port)));
        earlier.remove(&forward(83));

        let mut next = HostPorts::default();
        next.insert(forward(90));
        next.merge(HostPorts::load_from(&path, |_, port| port != 81));
        assert_eq!(next.all(), [90, 80, 82].map(forward));
        let again = HostPorts::load_from(&path, |_, _| true);
        assert_eq!(again.all(), [90, 80, 82].map(forward));
        fs::remove_file(&path).unwrap();
    }
}
