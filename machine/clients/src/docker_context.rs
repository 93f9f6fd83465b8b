//! Docker contexts, as the docker command stores them: a description and TLS files, each in a
//! directory that is called after the SHA-256 of the context's name.
//!
//! A context is this program's when its metadata name the storage root. The metadata are written
//! first and removed last, so that whatever an interrupted run left is found by the next one.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use machine_store::atomic::{self, Access};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::docker_config;
use crate::{Endpoint, Error, Places};

/// The context that docker has without any file.
const BUILT_IN: &str = "default";
/// Names the storage root in the metadata of a context.
const MARK: &str = "org.machine.storage";
const LONGEST: u64 = 256 * 1024;

/// What a machine's context is called: like the machine, where docker allows that.
pub fn context_name(machine: &str) -> String {
    if machine == BUILT_IN || machine.len() < 2 {
        format!("machine-{machine}")
    } else {
        machine.to_owned()
    }
}

/// Makes the contexts of this storage root those of exactly these machines.
pub fn sync(machines: &[Endpoint], places: &Places) -> Vec<Error> {
    let contexts = Contexts { places };
    let mut errors = Vec::new();
    let wanted: BTreeSet<String> =
        machines.iter().map(|machine| context_name(&machine.name)).collect();
    match contexts.of_this_root() {
        Ok(present) => {
            let gone = present.iter().filter(|(name, _)| !wanted.contains(name));
            errors.extend(gone.filter_map(|(name, id)| contexts.remove(name, id).err()));
        }
        Err(error) => errors.push(error),
    }
    errors.extend(machines.iter().filter_map(|machine| contexts.write(machine).err()));
    errors
}

/// The context that docker uses if nothing else is said; `None` is the built-in one.
pub fn current(places: &Places) -> Result<Option<String>, Error> {
    docker_config::current_context(&places.docker_config)
}

/// Makes docker use a machine's context, which [`sync`] has written.
pub fn use_machine(machine: &str, places: &Places) -> Result<(), Error> {
    let name = context_name(machine);
    if !(Contexts { places }).is_ours(&id(&name)) {
        return Err(Error::Foreign { name });
    }
    docker_config::set_current_context(&places.docker_config, Some(&name))
}

/// Makes docker use its built-in context. Answers whether it used another one.
pub fn use_built_in(places: &Places) -> Result<bool, Error> {
    let used = current(places)?.is_some();
    if used {
        docker_config::set_current_context(&places.docker_config, None)?;
    }
    Ok(used)
}

struct Contexts<'a> {
    places: &'a Places,
}

impl Contexts<'_> {
    /// Names and ids of the contexts that were written for machines of this storage root.
    fn of_this_root(&self) -> Result<Vec<(String, String)>, Error> {
        let directory = self.contexts().join("meta");
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| failed("list", &directory, source))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| failed("list", &directory, source))?;
            let Ok(id) = entry.file_name().into_string() else { continue };
            if self.is_ours(&id)
                && let Some(name) =
                    self.metadata(&id).and_then(|all| Some(all["Name"].as_str()?.to_owned()))
            {
                found.push((name, id));
            }
        }
        Ok(found)
    }

    fn write(&self, machine: &Endpoint) -> Result<(), Error> {
        let name = context_name(&machine.name);
        let id = id(&name);
        let metadata = self.metadata_of(machine, &name);
        let present = self.metadata(&id);
        if self.meta_file(&id).symlink_metadata().is_ok() && !self.may_take(&id, machine) {
            return Err(Error::Foreign { name });
        }
        // Somebody's keys without a context would be overwritten.
        if present.is_none()
            && self.tls(&id).symlink_metadata().is_ok()
            && !self.meta_file(&id).exists()
        {
            return Err(Error::Foreign { name });
        }
        if present.as_ref() != Some(&metadata) {
            let path = self.meta_file(&id);
            private_directory(path.parent().unwrap_or(&path))?;
            atomic::write(&path, metadata.to_string().as_bytes(), Access::Everyone)?;
        }
        let keys = self.tls(&id).join("docker");
        for (file, source) in [
            ("ca.pem", &machine.ca_certificate),
            ("cert.pem", &machine.client_certificate),
            ("key.pem", &machine.client_key),
        ] {
            let (path, content) = (keys.join(file), atomic::read(source, LONGEST)?);
            if atomic::read(&path, LONGEST).ok().as_ref() != Some(&content) {
                private_directory(&keys)?;
                atomic::write(&path, content.as_bytes(), Access::Owner)?;
            }
        }
        Ok(())
    }

    /// Docker's choice goes first, so that it never names a context that is not there.
    fn remove(&self, name: &str, id: &str) -> Result<(), Error> {
        if current(self.places)?.as_deref() == Some(name) {
            docker_config::set_current_context(&self.places.docker_config, None)?;
        }
        let meta = self.meta_file(id);
        remove_tree(&self.tls(id))?;
        remove_tree(meta.parent().unwrap_or(&meta))
    }

    fn metadata_of(&self, machine: &Endpoint, name: &str) -> Value {
        json!({
            "Name": name,
            "Metadata": {
                "Description": format!("machine {}", machine.name),
                MARK: self.places.storage,
            },
            "Endpoints": {"docker": {"Host": machine.url, "SkipTLSVerify": false}},
        })
    }

    fn metadata(&self, id: &str) -> Option<Value> {
        serde_json::from_str(&atomic::read(&self.meta_file(id), LONGEST).ok()?).ok()
    }

    fn mark(&self, id: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.metadata(id)?["Metadata"][MARK].as_str()?))
    }

    fn is_ours(&self, id: &str) -> bool {
        self.mark(id).is_some_and(|storage| storage == self.places.storage)
    }

    /// Ours, or left by a storage root that has no such machine any more.
    fn may_take(&self, id: &str, machine: &Endpoint) -> bool {
        self.mark(id).is_some_and(|storage| {
            storage == self.places.storage || !storage.join("machines").join(&machine.name).exists()
        })
    }

    fn contexts(&self) -> PathBuf {
        self.places.docker_config.join("contexts")
    }

    fn meta_file(&self, id: &str) -> PathBuf {
        self.contexts().join("meta").join(id).join("meta.json")
    }

    fn tls(&self, id: &str) -> PathBuf {
        self.contexts().join("tls").join(id)
    }
}

fn id(name: &str) -> String {
    hex::encode(Sha256::digest(name))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

pub(crate) fn private_directory(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| failed("make the directory", path, source))
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", path, source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
