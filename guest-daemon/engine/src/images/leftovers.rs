//! What a pull that fails must not leave behind.

use super::{Images, Pin};

/// Layers that belong to nothing unless the pull succeeds.
pub(super) struct Leftovers {
    images: Images,
    layers: Vec<String>,
    pin: Option<Pin>,
}

impl Leftovers {
    pub(super) fn new(images: &Images, layers: &[String], pin: Pin) -> Self {
        Self { images: images.clone(), layers: layers.to_vec(), pin: Some(pin) }
    }

    /// The image is visible; what it stands on is no leftover.
    pub(super) fn are_needed(mut self) {
        self.layers.clear();
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        drop(self.pin.take());
        if !self.layers.is_empty() {
            let (images, layers) = (self.images.clone(), std::mem::take(&mut self.layers));
            tokio::spawn(async move { images.sweep(&layers).await });
        }
    }
}
