//! `docker commit`: an image of what a container has become.

use super::differences::check_there;
use super::types::{Commit, Container, Status};
use super::{Containers, attributes_of, merge};
use crate::error::{Error, Result};
use crate::images::{CommitImage, Reference, apply_changes};

impl Containers {
    /// Returns the image's id. What was begun is finished even if nobody waits any more, so that
    /// no container stays paused.
    pub async fn commit(&self, reference: &str, request: Commit) -> Result<String> {
        let (all, reference) = (self.clone(), reference.to_owned());
        let committing = async move { all.commit_now(&reference, request).await };
        self.core
            .tasks
            .spawn(committing)
            .await
            .map_err(|lost| Error::internal("the commit did not complete", lost))?
    }

    async fn commit_now(&self, reference: &str, request: Commit) -> Result<String> {
        let snapshot = self.core.registry.find(reference)?.look();
        let container = &snapshot.container;
        check_there(container, "commit")?;
        let name = name(&request)?;
        let mut config = request.config.clone().unwrap_or_else(|| container.config.clone());
        apply_changes(&mut config, &request.changes)?;
        let image = CommitImage {
            container: container.id.clone(),
            parent: container.image_id.clone(),
            layers: snapshot.layers.clone(),
            author: request.author.clone(),
            comment: request.comment.clone(),
            created_by: container.config.cmd.clone().unwrap_or_default().join(" "),
            config: merge::with_image(config, &container.config),
        };
        let spooled = self
            .still(container, request.pause, || self.core.images.spool_container(&container.id));
        let id = self.core.images.commit_container(spooled.await?, image, name.clone()).await?;
        let mut attributes = attributes_of(container);
        attributes.extend([
            ("comment".to_owned(), request.comment),
            ("imageID".to_owned(), id.clone()),
            ("imageRef".to_owned(), name.map_or_else(String::new, |name| name.familiar())),
        ]);
        self.core.events.publish("container", "commit", &container.id, attributes);
        Ok(id)
    }

    /// Does something while nothing of a container runs, if so wanted.
    async fn still<T, F: Future<Output = Result<T>>>(
        &self,
        container: &Container,
        wanted: bool,
        work: impl FnOnce() -> F,
    ) -> Result<T> {
        let runs = container.state.status == Status::Running;
        // One that cannot be paused is committed as it goes.
        let paused = wanted && runs && self.pause(&container.id).await.is_ok();
        let result = work().await;
        if paused && let Err(error) = self.unpause(&container.id).await {
            tracing::error!(
                container = container.id,
                error = error.with_causes(),
                "a container stays paused"
            );
        }
        result
    }
}

fn name(request: &Commit) -> Result<Option<Reference>> {
    if request.repository.is_empty() {
        return Ok(None);
    }
    let mut name = Reference::parse(&request.repository)?;
    if name.digest.is_some() {
        return Err(Error::invalid("cannot commit to digest reference"));
    }
    if !request.tag.is_empty() {
        name = name.with_tag(&request.tag)?;
    }
    Ok(Some(name.or_latest()))
}
