//! Making an image of one layer from a file system.

use engine_store::NewImage;
use engine_store::objects::HistoryRecord;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::reference::Reference;
use super::types::{ByteStream, ImportImage};
use super::{Images, changes};
use crate::blocking::blocking;
use crate::config::ContainerConfig;
use crate::error::{Error, Result};
use crate::time;

impl Images {
    /// Makes an image of one layer from a tar stream of a root filesystem; returns its id.
    pub async fn import(&self, archive: ByteStream, request: ImportImage) -> Result<String> {
        let name = match request.reference.as_str() {
            "" => None,
            text => Some(Reference::parse(text)?.or_latest()),
        };
        if name.as_ref().is_some_and(|name| name.digest.is_some()) {
            return Err(Error::invalid("cannot import digest reference"));
        }
        let mut config = ContainerConfig::default();
        changes::apply(&mut config, &request.changes)?;
        let (os, architecture, variant) = self.platform(&request.platform)?;
        let (store, reader) =
            (self.inner.store.clone(), SyncIoBridge::new(StreamReader::new(archive)));
        let spooled = blocking(move || store.spool_layer(reader)).await?;
        let change = self.inner.change.lock().await;
        let now = time::to_stored(self.inner.clock.now());
        let store = self.inner.store.clone();
        let record = blocking(move || {
            let layer = store.import_layer(&spooled)?;
            store.make_image(NewImage {
                created: now,
                comment: request.message.clone(),
                architecture,
                variant,
                os,
                config,
                layers: vec![layer.diff_id],
                history: vec![HistoryRecord {
                    created: Some(now),
                    comment: request.message,
                    ..HistoryRecord::default()
                }],
                ..NewImage::default()
            })
        })
        .await?;
        let id = record.id.clone();
        let names: Vec<_> = name.iter().map(|name| (name.clone(), id.clone())).collect();
        self.commit(vec![record], &names).await?;
        drop(change);
        let shown = name.map_or_else(|| id.clone(), |name| name.familiar());
        self.event("import", &id, &shown);
        Ok(id)
    }

    /// `os[/architecture[/variant]]`, with our own for what is missing.
    fn platform(&self, text: &str) -> Result<(String, String, String)> {
        let own = self.architecture();
        let mut parts = text.split('/').filter(|part| !part.is_empty());
        let platform = match (parts.next(), parts.next(), parts.next()) {
            (None, _, _) => ("linux", own, ""),
            (Some(os), None, _) => (os, own, ""),
            (Some(os), Some(architecture), variant) => (os, architecture, variant.unwrap_or("")),
        };
        if platform.0 != "linux" {
            return Err(Error::invalid(format!(
                "operating system is not supported: {}",
                platform.0
            )));
        }
        Ok((platform.0.into(), platform.1.into(), platform.2.into()))
    }
}
