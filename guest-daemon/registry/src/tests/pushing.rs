//! Blobs on their way out.

use engine::images::reference::Reference;
use engine::ports::{Access, Descriptor, Outgoing};
use futures::StreamExt;

use super::site::{Answer, Seen, Site, user};
use crate::documents::digest_of;

fn accepting(seen: &Seen) -> Answer {
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", path) if path.contains("mount=") && path.contains("from=other") => {
            Answer::new(201, "").with("Location", "/v2/x/blobs/y")
        }
        ("POST", _) => Answer::new(202, "").with("Location", "/v2/x/blobs/uploads/1?state=a"),
        ("PATCH", _) => Answer::new(202, "").with("Location", "/v2/x/blobs/uploads/1?state=b"),
        ("PUT", _) => Answer::new(201, ""),
        ("HEAD", _) => Answer::new(404, ""),
        _ => Answer::new(200, ""),
    }
}

fn outgoing(content: &'static [u8]) -> Outgoing {
    let parts = content.chunks(3).map(|part| Ok(bytes::Bytes::from_static(part)));
    let digest = digest_of(content);
    Outgoing {
        content: futures::stream::iter(parts).boxed(),
        digest: Box::pin(async move { Ok(digest) }),
    }
}

#[tokio::test]
async fn an_upload_is_begun_sent_and_sealed_with_its_digest() {
    let site = Site::start(accepting).await;
    let repository = site.repository(&user(), Access::Push);
    assert!(!repository.has_blob(&digest_of(b"hello world")).await.unwrap());
    repository.upload(outgoing(b"hello world")).await.unwrap();
    let digest = digest_of(b"hello world").replace(':', "%3A");
    assert_eq!(
        site.asked()[1..],
        [
            format!("HEAD /v2/x/blobs/{}", digest_of(b"hello world")),
            "POST /v2/x/blobs/uploads/".to_owned(),
            "PATCH /v2/x/blobs/uploads/1?state=a".to_owned(),
            format!("PUT /v2/x/blobs/uploads/1?state=b&digest={digest}"),
        ]
    );
    assert_eq!(&site.seen()[3].body[..], b"hello world");
}

#[tokio::test]
async fn a_blob_is_taken_over_from_a_repository_beside_if_that_can_be() {
    let site = Site::start(accepting).await;
    let repository = site.repository(&user(), Access::Push);
    let from = |name: &str| Reference::parse(&format!("{}/{name}", site.host)).unwrap();
    let digest = digest_of(b"x");
    assert!(repository.mount(&digest, &from("other")).await.unwrap());
    assert!(!repository.mount(&digest, &from("strange")).await.unwrap());
    // What was begun instead is taken back.
    assert_eq!(site.asked().last().unwrap(), "DELETE /v2/x/blobs/uploads/1?state=a");
}

#[tokio::test]
async fn an_upload_that_is_sent_elsewhere_goes_without_credentials() {
    let store = Site::start(accepting).await;
    let place = format!("http://{}/upload", store.host);
    let site = Site::start(move |seen| match seen.method.as_str() {
        _ if seen.authorization.is_empty() => {
            Answer::new(401, "").with("WWW-Authenticate", "Basic realm=x")
        }
        "POST" => Answer::new(202, "").with("Location", place.clone()),
        _ => Answer::new(200, ""),
    })
    .await;
    site.repository(&user(), Access::Push).upload(outgoing(b"hello")).await.unwrap();
    assert!(store.seen().iter().all(|seen| seen.authorization.is_empty()));
    assert_eq!(store.seen().len(), 2);
}

#[tokio::test]
async fn a_tag_is_written_with_the_manifests_own_type() {
    let site = Site::start(accepting).await;
    let config = Descriptor { digest: digest_of(b"{}"), size: 2, ..Descriptor::default() };
    let repository = site.repository(&user(), Access::Push);
    let written = repository.tag("1", &config, &[]).await.unwrap();
    let put = site.seen().pop().unwrap();
    assert_eq!((&*put.method, &*put.path), ("PUT", "/v2/x/manifests/1"));
    assert_eq!(digest_of(&put.body), written.digest);
}

#[tokio::test]
async fn what_cannot_be_read_here_is_not_blamed_on_the_registry() {
    let site = Site::start(accepting).await;
    let broken = futures::stream::iter([Err(std::io::Error::other("disk on fire"))]).boxed();
    let digest = Box::pin(async { Ok(String::new()) });
    let repository = site.repository(&user(), Access::Push);
    let error = repository.upload(Outgoing { content: broken, digest }).await.unwrap_err();
    assert_eq!(error.with_causes(), "cannot read what is to be sent: disk on fire");
}
