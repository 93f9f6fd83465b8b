//! What must not be left behind when something ends, however it does.

use super::{Images, Pin};

/// Layers that are held, and go when nothing needs them then.
pub(super) struct Leftovers {
    images: Images,
    layers: Vec<String>,
    pin: Option<Pin>,
}

impl Leftovers {
    pub(super) fn new(images: &Images, layers: &[String], pin: Pin) -> Self {
        Self { images: images.clone(), layers: layers.to_vec(), pin: Some(pin) }
    }

    /// An image is visible; what it stands on is no leftover.
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
