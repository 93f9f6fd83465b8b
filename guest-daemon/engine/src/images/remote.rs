//! Questions to registries that change nothing here.

use std::collections::BTreeMap;

use super::reference::Reference;
use super::{Images, platform};
use crate::error::{Error, Result};
use crate::filters;
use crate::ports::{
    Access, Content, Credentials, Descriptor, Found, Manifest, Platform, Repository,
};

const SEARCH_FILTERS: [&str; 3] = ["is-automated", "is-official", "stars"];
const USUAL_LIMIT: u32 = 25;
const LARGEST_LIMIT: u32 = 100;
/// Only of these dockerd looks into the configuration.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry has under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    pub descriptor: Descriptor,
    pub platforms: Vec<Platform>,
}

#[derive(Clone, Debug, Default)]
pub struct SearchImages {
    pub term: String,
    /// 0 is the usual.
    pub limit: u32,
    pub filters: BTreeMap<String, Vec<String>>,
    pub credentials: Credentials,
}

impl Images {
    /// Tries credentials at a registry; returns an identity token, or nothing.
    pub async fn log_in(&self, server: &str, credentials: &Credentials) -> Result<String> {
        self.inner.remote.log_in(server, credentials).await
    }

    pub async fn distribution(
        &self,
        name: &str,
        credentials: &Credentials,
    ) -> Result<Distribution> {
        let name = Reference::parse(name)?.or_latest();
        let repository = self.inner.remote.repository(&name, credentials, Access::Pull)?;
        let target = name.digest.as_ref().or(name.tag.as_ref());
        let manifest = repository.manifest(target.map_or("latest", String::as_str)).await?;
        let platforms = platforms(&*repository, &manifest).await;
        Ok(Distribution { descriptor: manifest.descriptor, platforms })
    }

    pub async fn search(&self, request: &SearchImages) -> Result<Vec<Found>> {
        filters::check(&request.filters, &SEARCH_FILTERS)?;
        let automated = filters::truth(&request.filters, "is-automated")?.unwrap_or(false);
        let official = filters::truth(&request.filters, "is-official")?;
        let stars = stars(&request.filters)?;
        let limit = if request.limit == 0 { USUAL_LIMIT } else { request.limit };
        if limit > LARGEST_LIMIT {
            return Err(Error::invalid(format!(
                "limit {limit} is outside the range of [1, {LARGEST_LIMIT}]"
            )));
        }
        if automated {
            // Docker Hub knows none any more.
            return Ok(Vec::new());
        }
        let mut found =
            self.inner.remote.search(&request.term, limit, &request.credentials).await?;
        found.retain(|one| {
            official.is_none_or(|official| one.official == official) && one.stars >= stars
        });
        Ok(found)
    }
}

fn stars(filters: &BTreeMap<String, Vec<String>>) -> Result<i64> {
    let Some(values) = filters.get("stars") else { return Ok(i64::MIN) };
    let mut most = 0;
    for value in values {
        let stars: i64 =
            value.parse().map_err(|_| Error::invalid(format!("invalid filter 'stars={value}'")))?;
        most = most.max(stars);
    }
    Ok(most)
}

async fn platforms(repository: &dyn Repository, manifest: &Manifest) -> Vec<Platform> {
    match &manifest.content {
        Content::Index(entries) => {
            entries.iter().map(|entry| entry.platform.clone().unwrap_or_default()).collect()
        }
        Content::Image { config, .. } if manifest.descriptor.media_type == DOCKER_MANIFEST => {
            // It is not what was asked for; without it the answer is only shorter.
            let Ok(document) = repository.document(config).await else { return Vec::new() };
            let image = engine_store::read_image(&document);
            image.map(|image| platform::of(&image)).into_iter().collect()
        }
        Content::Image { .. } => Vec::new(),
    }
}
