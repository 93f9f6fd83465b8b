//! The port's implementation: hands out repositories.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use engine::Result;
use engine::images::reference::Reference;
use engine::ports::{Access, Credentials, Download, Found, Registry, Repository};
use engine::settings::{Proxies, Registries};
use reqwest::Url;

use crate::repository::HttpRepository;
use crate::{download, login, search};

/// How registries are spoken to.
#[derive(Clone, Debug)]
pub struct Options {
    pub registries: Registries,
    pub proxies: Proxies,
    /// How often a download is begun again that does not get any further.
    pub attempts: usize,
    /// `HOST[:PORT]/*.crt`, `*.cert` and `*.key` are below it.
    pub certificates: PathBuf,
    pub user_agent: String,
    /// Where Docker Hub keeps its images, and where it searches.
    pub hub: Url,
    pub index: Url,
}

impl Options {
    /// With Docker Hub where it is.
    pub fn new(user_agent: String, certificates: PathBuf) -> Result<Self> {
        let url = |text: &str| {
            text.parse::<Url>()
                .map_err(|error| engine::Error::internal("Docker Hub has no URL", error))
        };
        Ok(Self {
            registries: Registries::default(),
            proxies: Proxies::default(),
            attempts: 5,
            certificates,
            user_agent,
            hub: url("https://registry-1.docker.io/")?,
            index: url("https://index.docker.io/")?,
        })
    }
}

/// All registries, over HTTP.
#[derive(Debug)]
pub struct HttpRegistry {
    options: Arc<Options>,
}

impl HttpRegistry {
    pub fn new(options: Options) -> Self {
        Self { options: Arc::new(options) }
    }
}

#[async_trait]
impl Registry for HttpRegistry {
    fn repository(
        &self,
        name: &Reference,
        credentials: &Credentials,
        access: Access,
    ) -> Result<Box<dyn Repository>> {
        let options = Arc::clone(&self.options);
        Ok(Box::new(HttpRepository::new(options, name.clone(), credentials.clone(), access)))
    }

    async fn log_in(&self, server: &str, credentials: &Credentials) -> Result<String> {
        login::log_in(&self.options, server, credentials).await
    }

    async fn download(&self, address: &str) -> Result<Download> {
        download::download(&self.options, address).await
    }

    async fn search(
        &self,
        term: &str,
        limit: u32,
        credentials: &Credentials,
    ) -> Result<Vec<Found>> {
        search::search(&self.options, term, limit, credentials).await
    }
}
