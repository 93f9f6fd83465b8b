//! Taking in the images of an archive: their layers, and in the end the images and names at once.

use crate::Store;
use crate::archive_describe::ArchivedImage;
use crate::archive_spool::{Content, Spooled};
use crate::database::{Change, Table};
use crate::error::{Result, StoreError};
use crate::objects::{ImageRecord, ReferenceRecord};

/// How far a layer is that was not there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveProgress {
    pub diff_id: String,
    pub current: u64,
    pub total: u64,
}

impl Store {
    /// Unpacks the layers of an image that are not there. Nothing refers to them until
    /// [`Self::commit_images`].
    pub fn load_layers(
        &self,
        spooled: &Spooled,
        image: &ArchivedImage,
        progress: &mut (impl FnMut(ArchiveProgress) + Send),
    ) -> Result<()> {
        for (place, (diff_id, name)) in image.record.layers.iter().zip(&image.layers).enumerate() {
            if self.layer(diff_id)?.is_some() {
                continue;
            }
            let file = spooled.file(name)?;
            let mut tell = |current| {
                let (diff_id, total) = (diff_id.clone(), file.size);
                progress(ArchiveProgress { diff_id, current, total });
            };
            tell(0);
            let written;
            let landed = match &file.content {
                Content::Unpacked(landed) => landed,
                Content::Written(path) => {
                    written = self.land_file(path, &file.digest, &mut tell)?;
                    &written
                }
            };
            let found = landed.diff_id();
            if found != diff_id {
                return Err(StoreError::Invalid(format!(
                    "invalid diffID for layer {place}: expected {diff_id:?}, got {found:?}"
                )));
            }
            self.keep(landed)?;
            tell(file.size);
        }
        Ok(())
    }

    /// Keeps the configuration of an image of an archive.
    pub fn keep_archived(&self, spooled: &Spooled, image: &ArchivedImage) -> Result<()> {
        self.put_blob(&spooled.read(&image.config)?).map(drop)
    }

    /// Makes images and names visible, and takes names away, in one step.
    pub fn commit_images(
        &self,
        images: &[ImageRecord],
        named: &[(String, ReferenceRecord)],
        unnamed: &[String],
    ) -> Result<()> {
        let mut changes = Vec::new();
        for image in images {
            changes.push(Change::put(Table::Images, &image.id, image)?);
        }
        for name in unnamed {
            changes.push(Change::remove(Table::References, name));
        }
        for (name, reference) in named {
            changes.push(Change::put(Table::References, name, reference)?);
        }
        self.metadata().apply(&changes)
    }

    /// Forgets an image. Its files stay until [`Self::discard_image`], or until the store is opened
    /// again.
    pub fn forget_image(&self, id: &str) -> Result<()> {
        self.metadata().apply(&[Change::remove(Table::Images, id)])
    }

    /// Removes the files of an image that was forgotten, with the layers that only it stood on.
    pub fn discard_image(&self, id: &str, layers: &[String]) -> Result<()> {
        self.remove_layers(layers)?;
        self.discard(&self.layout().blob(id))
    }
}
