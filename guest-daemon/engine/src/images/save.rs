//! Writing images out as an archive.

use std::sync::Arc;

use engine_store::objects::ImageRecord;
use engine_store::{SavedImage, SavedName};

use super::reference::Reference;
use super::state::missing;
use super::types::ByteStream;
use super::{Images, platform};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::sending::written;

impl Images {
    /// Writes an archive of these images, if each is for the platform; an empty one is any.
    pub async fn save(&self, references: &[String], platform: &str) -> Result<ByteStream> {
        let mut images: Vec<SavedImage> = Vec::new();
        for text in references {
            for (record, names) in self.meant(text)? {
                match images.iter_mut().find(|image| image.record.id == record.id) {
                    Some(image) => {
                        let known = image.names.clone();
                        image.names.extend(names.into_iter().filter(|name| !known.contains(name)));
                    }
                    None => {
                        let (record, document) = ((*record).clone(), Vec::new());
                        images.push(SavedImage { record, names, document });
                    }
                }
            }
        }
        if images.is_empty() {
            return Err(Error::invalid("no image names were given"));
        }
        self.check_saved(&images, platform)?;
        // An image that is removed meanwhile is saved to its end.
        let mut pins = Vec::new();
        for image in &mut images {
            let (record, pin) = self.hold(&image.record.id)?;
            pins.push(pin);
            let store = self.inner.store.clone();
            image.document = blocking(move || store.image_document(&record.id)).await?;
        }
        for image in &images {
            self.event("save", &image.record.id, &image.record.id);
        }
        let store = self.inner.store.clone();
        Ok(written(move |writer| {
            let saved = store.save_archive(&images, writer);
            drop(pins);
            Ok(saved?)
        }))
    }

    fn check_saved(&self, images: &[SavedImage], platform: &str) -> Result<()> {
        if platform.is_empty() {
            return Ok(());
        }
        let wanted = platform::parse(platform, self.architecture())?;
        let fits =
            |image: &SavedImage| platform::is_strictly(&platform::of(&image.record), &wanted);
        if images.iter().all(fits) {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "no suitable export target found for platform {}",
            platform::shown(&wanted)
        )))
    }

    /// The images a text means, with the names they are saved under: the one asked for, every
    /// one of a repository that was given without a tag, or none for an id.
    fn meant(&self, text: &str) -> Result<Vec<(Arc<ImageRecord>, Vec<SavedName>)>> {
        let Ok(asked) = Reference::parse(text) else {
            return Ok(vec![(self.find(text)?, Vec::new())]);
        };
        let whole_repository = asked.tag.is_none() && asked.digest.is_none();
        let state = self.state();
        let mut meant: Vec<(Arc<ImageRecord>, Vec<SavedName>)> = Vec::new();
        for (name, id) in &state.references {
            let (Ok(name), Some(image)) = (Reference::parse(name), state.images.get(id)) else {
                continue;
            };
            let Some(tag) = name.tag.clone() else { continue };
            if name.repository() != asked.repository()
                || !(whole_repository || asked.tag.as_ref() == Some(&tag))
            {
                continue;
            }
            let saved = SavedName { familiar: name.familiar(), canonical: name.canonical(), tag };
            match meant.iter_mut().find(|(known, _)| known.id == *id) {
                Some((_, names)) => names.push(saved),
                None => meant.push((Arc::clone(image), vec![saved])),
            }
        }
        drop(state);
        if meant.is_empty() {
            // Here it is not called by its usual tag.
            let absent = |_| match asked.tag {
                Some(_) => Error::not_found("reference does not exist"),
                None => missing(text),
            };
            meant.push((self.find(text).map_err(absent)?, Vec::new()));
        }
        Ok(meant)
    }
}
