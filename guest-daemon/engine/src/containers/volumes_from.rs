//! `--volumes-from`: the mounts of other containers.

use engine_store::objects::MountRecord;

use super::registry::Registry;
use crate::config::HostConfig;
use crate::error::{Error, Result};

/// The mounts of the containers that were named, the later ones in place of the earlier.
pub(super) fn mounts(registry: &Registry, host: &HostConfig) -> Result<Vec<MountRecord>> {
    let mut mounts: Vec<MountRecord> = Vec::new();
    for text in host.volumes_from.iter().flatten() {
        let (name, read_only) = parse(text)?;
        let found = registry.find(name).map_err(|error| Error::invalid(error.to_string()))?;
        for mount in found.look().mounts.iter().filter(|it| it.kind != "tmpfs") {
            mounts.retain(|other| other.destination != mount.destination);
            mounts.push(MountRecord {
                read_only: mount.read_only || read_only,
                // It goes with the other one.
                anonymous: false,
                ..mount.clone()
            });
        }
    }
    Ok(mounts)
}

/// `name` or `name:mode`, and whether that is to be read-only.
fn parse(text: &str) -> Result<(&str, bool)> {
    let (name, mode) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(Error::invalid(format!("malformed volumes-from specification: {text}")));
    }
    let mut read_only = false;
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        match word {
            "ro" => read_only = true,
            // Labels of SELinux mean nothing here.
            "rw" | "z" | "Z" => {}
            _ => return Err(Error::invalid(format!("invalid mode for volumes-from: {mode}"))),
        }
    }
    Ok((name, read_only))
}

#[cfg(test)]
mod tests {
    use crate::testing::World;

    #[tokio::test]
    async fn the_mounts_of_another_container_are_taken_over() {
        let world = World::new().await;
        let data = world.create_with("data", &["true"], |request| {
            request.host.binds = Some(vec!["/srv:/srv".into(), "kept:/kept".into(), "/a".into()]);
        });
        data.await.unwrap();
        let user = world.create_with("user", &["true"], |request| {
            request.host.volumes_from = Some(vec!["data:ro".into()]);
            request.host.binds = Some(vec!["own:/kept".into()]);
        });
        user.await.unwrap();
        let container = world.engine.containers.inspect("user").unwrap();
        let seen: Vec<(&str, &str, bool)> = container
            .mounts
            .iter()
            .map(|it| (it.destination.as_str(), it.name.as_str(), it.read_write))
            .collect();
        assert_eq!(seen[0], ("/kept", "own", true));
        assert_eq!(seen[1], ("/srv", "", false));
        assert_eq!((seen[2].0, seen[2].1.len(), seen[2].2), ("/a", 64, false));
        // It goes with the first one.
        let anonymous = seen[2].1.to_owned();
        world.engine.containers.remove("user", false, true).await.unwrap();
        world.engine.volumes.inspect(&anonymous).unwrap();

        for (from, text) in [("nobody", "No such container: nobody"), ("data:odd", "invalid mode")]
        {
            let create = world.create_with("x", &["true"], |request| {
                request.host.volumes_from = Some(vec![from.into()]);
            });
            assert!(create.await.unwrap_err().to_string().starts_with(text), "{from}");
        }
    }
}
