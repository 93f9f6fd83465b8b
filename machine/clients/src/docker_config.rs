//! The one setting in docker's `config.json` that is ever changed: `currentContext`. All else stays
//! as it is written there, with its order and its indentation.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use machine_store::atomic;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Error;
use crate::docker_context::private_directory;

const KEY: &str = "currentContext";
const LONGEST: u64 = 4 << 20;

/// What is set; `None` where nothing is.
pub(crate) fn current_context(directory: &Path) -> Result<Option<String>, Error> {
    let path = directory.join("config.json");
    let Some(text) = read(&path)? else { return Ok(None) };
    let value = parse(&path, &text)?.0.into_iter().rfind(|(key, _)| key == KEY);
    let name = value.and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok());
    Ok(name.filter(|name| !name.is_empty()))
}

/// Sets it, or takes it away.
pub(crate) fn set_current_context(directory: &Path, name: Option<&str>) -> Result<(), Error> {
    let path = directory.join("config.json");
    let text = match read(&path)? {
        Some(text) => text,
        None if name.is_none() => return Ok(()),
        None => "{}".to_owned(),
    };
    let name = name.map(|name| serde_json::Value::from(name).to_string());
    let changed = laid_out_like(&text, parse(&path, &text)?.with(name.as_deref()));
    private_directory(directory)?;
    if changed == text { Ok(()) } else { write(&path, &changed) }
}

/// A JSON object whose values are not looked into.
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    fn with(mut self, value: Option<&str>) -> Vec<(String, String)> {
        let position = self.0.iter().position(|(key, _)| key == KEY).unwrap_or(self.0.len());
        self.0.retain(|(key, _)| key != KEY);
        let mut all: Vec<(String, String)> =
            self.0.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect();
        if let Some(value) = value {
            all.insert(position.min(all.len()), (KEY.to_owned(), value.to_owned()));
        }
        all
    }
}

/// As `text` is written, or as docker writes it where there is nothing to follow.
fn laid_out_like(text: &str, entries: Vec<(String, String)>) -> String {
    let inside = text.trim_start().strip_prefix('{').unwrap_or_default();
    let first = inside.trim_start();
    let before = match inside.get(..inside.len() - first.len()) {
        Some(blanks) if first.starts_with('"') => blanks,
        Some(_) | None => "\n\t",
    };
    let lines = before.contains('\n');
    let colon = if lines { ": " } else { ":" };
    let entries: Vec<String> = entries
        .into_iter()
        .map(|(key, value)| format!("{before}{}{colon}{value}", serde_json::Value::from(key)))
        .collect();
    let after = if lines && !entries.is_empty() { "\n" } else { "" };
    let end = text.get(text.trim_end().len()..).unwrap_or_default();
    format!("{{{}{after}}}{end}", entries.join(","))
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Object(all))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

fn parse(path: &Path, text: &str) -> Result<Object, Error> {
    // Docker takes an empty file for an empty object.
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text)
        .map_err(|source| Error::DockerConfig { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    Ok(Some(atomic::read(path, LONGEST)?))
}

/// Keeps the file's permissions, and a link to where the file really is.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let target: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let io = |source| Error::Io { action: "write", path: target.clone(), source };
    let permissions = match target.metadata() {
        Ok(present) => present.permissions(),
        Err(_) => Permissions::from_mode(0o600),
    };
    let directory = target.parent().unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(".config-").tempfile_in(directory).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.as_file().set_permissions(permissions).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(&target).map_err(|error| io(error.error)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(before: &str, name: Option<&str>) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, before).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        set_current_context(directory.path(), name).unwrap();
        assert_eq!(current_context(directory.path()).unwrap().as_deref(), name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn everything_else_in_the_file_stays_as_it_is() {
        let before = "{\n\t\"auths\": {\n\t\t\"b\": {\"auth\": \"eA==\"},\n\t\t\"a\": {}\n\t},\n\t\
                      \"currentContext\": \"mine\",\n\t\"detachKeys\": \"ctrl-e,e\"\n}";
        let after = set(before, Some("dev"));
        assert_eq!(after, before.replace("\"mine\"", "\"dev\""));
        assert_eq!(set(&after, None), before.replace("\t\"currentContext\": \"mine\",\n", ""));
    }

    #[test]
    fn the_files_own_layout_is_kept() {
        assert_eq!(
            set("{\"b\":1,\"a\":[1, 2]}\n", Some("dev")),
            "{\"b\":1,\"a\":[1, 2],\"currentContext\":\"dev\"}\n"
        );
        assert_eq!(
            set("{\n  \"b\": 1\n}\n", Some("dev")),
            "{\n  \"b\": 1,\n  \"currentContext\": \"dev\"\n}\n"
        );
        assert_eq!(set("", Some("dev")), "{\n\t\"currentContext\": \"dev\"\n}");
        assert_eq!(set("{\n\t\"currentContext\": \"dev\"\n}\n", None), "{}\n");
        assert_eq!(set("{}", None), "{}");
    }

    #[test]
    fn a_file_that_is_not_understood_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        for broken in ["{\"a\": ", "[]", "// comment\n{}"] {
            std::fs::write(&path, broken).unwrap();
            let result = set_current_context(directory.path(), Some("dev"));
            assert!(matches!(result, Err(Error::DockerConfig { .. })), "{broken}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
        }
    }

    #[test]
    fn a_link_stays_a_link_and_a_new_file_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let (real, home) = (directory.path().join("real.json"), directory.path().join("home"));
        std::fs::create_dir(&home).unwrap();
        std::fs::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink(&real, home.join("config.json")).unwrap();
        set_current_context(&home, Some("dev")).unwrap();
        assert!(home.join("config.json").is_symlink());
        assert!(std::fs::read_to_string(&real).unwrap().contains("dev"));

        let new = directory.path().join("new");
        set_current_context(&new, None).unwrap();
        assert!(!new.exists());
        set_current_context(&new, Some("dev")).unwrap();
        let mode = new.join("config.json").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
