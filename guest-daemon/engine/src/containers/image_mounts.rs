//! Images that are mounted into a container beside its own.
//!
//! **Invariant:** such an image's layers stay as long as the container, whatever becomes of the
//! image: they are in the container's record.

use engine_store::Layout;
use engine_store::objects::MountRecord;

use super::core::Core;
use crate::error::{Error, Kind, Result};
use crate::images::Pin;
use crate::ports::ImageFiles;

/// Finds the images of a new container. Their layers stay as long as what is returned, which the
/// caller holds until the container is in the registry.
pub(super) async fn find(core: &Core, wanted: &mut [(MountRecord, bool)]) -> Result<Vec<Pin>> {
    let mut pins = Vec::new();
    for (mount, _) in wanted.iter_mut().filter(|(mount, _)| mount.kind == "image") {
        if mount.image.is_empty() {
            let (image, pin) = core.images.hold(&mount.name)?;
            mount.image.clone_from(&image.id);
            mount.layers.clone_from(&image.layers);
            pins.push(pin);
            continue;
        }
        // It comes from another container, which may have gone meanwhile and the layers with it.
        let (pin, here) = core.images.pin_present(&mount.layers).await?;
        if !mount.layers.iter().all(|layer| here.contains(layer)) {
            return Err(Error::new(Kind::NotFound, format!("No such image: {}", mount.name)));
        }
        pins.push(pin);
    }
    Ok(pins)
}

/// What is to be mounted for those among a container's mounts.
pub(super) fn of(container: &str, mounts: &[MountRecord], layout: &Layout) -> Vec<ImageFiles> {
    let images = mounts.iter().enumerate().filter(|(_, mount)| mount.kind == "image");
    images
        .map(|(number, mount)| ImageFiles {
            layers: mount.layers.iter().rev().map(|layer| layout.layer_diff(layer)).collect(),
            place: layout.container_image(container, number),
        })
        .collect()
}
