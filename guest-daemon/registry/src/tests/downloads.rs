//! Files that are no image's blobs.

use engine::Kind;
use engine::ports::{Download, Registry};
use futures::TryStreamExt;

use super::site::{Answer, Site};

async fn download(site: &Site, path: &str) -> engine::Result<Download> {
    site.registry().download(&format!("http://{}{path}", site.host)).await
}

#[tokio::test]
async fn a_file_comes_as_it_is_and_redirects_are_followed() {
    let site = Site::start(|seen| match &*seen.path {
        "/old" => Answer::new(302, "").with("Location", "/root.tar"),
        _ => Answer::new(200, "content"),
    })
    .await;
    let file = download(&site, "/old?token=secret").await.unwrap();
    assert_eq!(file.address, format!("http://{}/old", site.host));
    let parts: Vec<_> = file.content.try_collect().await.unwrap();
    assert_eq!(parts.concat(), b"content");
    let file = site.registry().download(&format!("{}/root.tar", site.host)).await.unwrap();
    assert_eq!(file.address, format!("http://{}/root.tar", site.host));
}

#[tokio::test]
async fn what_a_server_refuses_is_told_with_its_words() {
    let site = Site::start(|_| Answer::new(404, "no such file\n")).await;
    let refused = download(&site, "/root.tar").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert_eq!(
        refused.to_string(),
        format!(
            "failed to GET http://{}/root.tar with status 404 Not Found: no such file",
            site.host
        )
    );
    for wrong in ["file:///etc/passwd", "http://169.254.169.254/latest", "http://[", ""] {
        let refused = site.registry().download(wrong).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::InvalidArgument, "{wrong}: {refused}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_does_not_look_whole() {
    let site = Site::start(|_| Answer::new(200, vec![7; 100_000]).cut(1000)).await;
    // The connection may end before the head has come.
    let whole = async {
        let file = download(&site, "/root.tar").await.map_err(std::io::Error::other)?;
        file.content.try_collect::<Vec<_>>().await
    };
    assert!(whole.await.is_err());
}
