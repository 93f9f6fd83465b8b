//! Images that are mounted into a container beside its own: their layers as one read-only file
//! system in the guest, from where a bind takes all of it or a part.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use engine::ports::ImageFiles;

use crate::overlay::{self, Layers};

/// Mounts them.
pub(crate) fn mount(images: &[ImageFiles]) -> io::Result<()> {
    each(images, overlay::mount_layers)
}

/// Mounts them, with owners as a user namespace has them.
pub(crate) fn mount_mapped(
    images: &[ImageFiles],
    users: BorrowedFd<'_>,
    first: u32,
    scratch: &Path,
) -> io::Result<()> {
    each(images, |layers| overlay::mount_layers_mapped(layers, users, first, scratch))
}

fn each(images: &[ImageFiles], mount: impl Fn(&Layers) -> io::Result<()>) -> io::Result<()> {
    for image in images {
        if let Some(folder) = image.place.parent() {
            overlay::make_place(folder)?;
        }
        overlay::make_place(&image.place)?;
        // What an earlier daemon may have left: the place has to be empty.
        overlay::unmount_all(&image.place)?;
        // Without layers it is what the image is.
        if !image.layers.is_empty() {
            mount(&layers(image))?;
        }
    }
    Ok(())
}

/// The kernel wants two at least, so the place itself is the lowest.
fn layers(image: &ImageFiles) -> Layers {
    Layers {
        lower: image.layers.iter().chain([&image.place]).cloned().collect(),
        own: None,
        merged: image.place.clone(),
    }
}

/// Takes back [`mount`]. Succeeds when there is nothing.
pub(crate) fn unmount(places: &[impl AsRef<Path>]) -> io::Result<()> {
    places.iter().try_for_each(|place| overlay::unmount_all(place.as_ref()))
}
