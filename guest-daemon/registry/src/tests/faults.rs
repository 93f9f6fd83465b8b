//! What a registry can do wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use engine::Kind;
use engine::ports::Registry;

use super::site::{Answer, Site, descriptor, manifest, options, read, user};
use crate::documents::digest_of;

fn content() -> Vec<u8> {
    (0..200_000u32).map(|number| (number % 251) as u8).collect()
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let site = Site::start(|seen| {
        let content = content();
        match seen.range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')) {
            None if seen.path.contains("/blobs/") => Answer::new(200, content).cut(70_000),
            None => Answer::new(200, ""),
            Some(from) => {
                let rest = content[from.parse::<usize>().unwrap()..].to_vec();
                Answer::new(206, rest).with("Content-Range", format!("bytes {from}-199999/200000"))
            }
        }
    })
    .await;
    let content = content();
    let got = read(&*site.anonymous(), &descriptor(&content)).await.unwrap();
    assert!(got == content);
    let ranges: Vec<String> = site.seen().into_iter().map(|seen| seen.range).collect();
    let resumed = ranges.iter().find(|range| !range.is_empty()).unwrap();
    assert_ne!(resumed, "bytes=0-", "{ranges:?}");
}

#[tokio::test]
async fn a_registry_that_knows_no_ranges_is_read_from_the_beginning() {
    let asked = AtomicUsize::new(0);
    let site = Site::start(move |seen| {
        if !seen.path.contains("/blobs/") {
            return Answer::new(200, "");
        }
        let answer = Answer::new(200, content());
        if asked.fetch_add(1, Ordering::SeqCst) == 0 { answer.cut(70_000) } else { answer }
    })
    .await;
    let content = content();
    assert!(read(&*site.anonymous(), &descriptor(&content)).await.unwrap() == content);
}

#[tokio::test]
async fn another_range_than_was_asked_for_is_refused() {
    let site = Site::start(|seen| match seen.range.as_str() {
        "" if seen.path.contains("/blobs/") => Answer::new(200, content()).cut(70_000),
        "" => Answer::new(200, ""),
        _ => Answer::new(206, content()).with("Content-Range", "bytes 0-199999/200000"),
    })
    .await;
    let error = read(&*site.anonymous(), &descriptor(&content())).await.unwrap_err();
    assert!(error.contains("another range"), "{error}");
}

#[tokio::test]
async fn a_blob_that_is_longer_than_its_manifest_says_is_refused() {
    for endless in [false, true] {
        let site = Site::start(move |_| {
            let answer = Answer::new(200, content());
            if endless { answer.endless() } else { answer }
        })
        .await;
        let blob = engine::ports::Descriptor { size: 1000, ..descriptor(&content()) };
        let error = read(&*site.anonymous(), &blob).await.unwrap_err();
        assert!(error.contains("longer than the 1000 bytes"), "{error}");
    }
}

#[tokio::test]
async fn a_blob_that_never_becomes_whole_is_given_up() {
    let site = Site::start(|_| Answer::new(200, "short")).await;
    let error = read(&*site.anonymous(), &descriptor(&content())).await.unwrap_err();
    assert!(error.contains("ends early"), "{error}");
    assert_eq!(site.asked().iter().filter(|asked| asked.contains("/blobs/")).count(), 2);
}

#[tokio::test]
async fn documents_are_bounded_whether_they_tell_their_length_or_not() {
    for endless in [false, true] {
        let site = Site::start(move |_| {
            let answer = Answer::new(200, vec![b' '; 5 << 20]);
            if endless { answer.endless() } else { answer }
        })
        .await;
        let error = site.anonymous().manifest("1").await.unwrap_err();
        assert!(error.to_string().contains("is larger than"), "{error}");
        let error = site.anonymous().tags().await.unwrap_err();
        assert!(error.to_string().contains("is larger than"), "{error}");
    }
}

#[tokio::test]
async fn what_has_another_digest_than_was_asked_for_is_refused() {
    let site = Site::start(|_| Answer::new(200, manifest(b"{}"))).await;
    let repository = site.anonymous();
    let found = repository.manifest("latest").await.unwrap();
    let error = repository.manifest(&digest_of(b"other")).await.unwrap_err();
    assert!(error.to_string().contains("manifest verification failed"), "{error}");
    assert!(repository.manifest(&found.descriptor.digest).await.is_ok());
    let error = repository.document(&descriptor(b"{}")).await.unwrap_err();
    assert!(error.to_string().contains("image config verification failed"), "{error}");
}

#[tokio::test]
async fn digests_of_other_algorithms_are_checked_as_well() {
    use sha2::{Digest, Sha384, Sha512};
    type Hex = fn(&[u8]) -> String;
    let algorithms: [(&str, Hex); 2] = [
        ("sha384", |content| hex::encode(Sha384::digest(content))),
        ("sha512", |content| hex::encode(Sha512::digest(content))),
    ];
    for (algorithm, hex) in algorithms {
        let of = |content: &[u8]| format!("{algorithm}:{}", hex(content));
        let site = Site::start(|seen| match seen.path.contains("/blobs/") {
            true => Answer::new(200, content()),
            false => Answer::new(200, manifest(b"{}")),
        })
        .await;
        let repository = site.anonymous();
        let named = of(manifest(b"{}").as_bytes());
        let found = repository.manifest(&named).await.unwrap();
        assert_eq!(found.descriptor.digest, named);
        let error = repository.manifest(&of(b"other")).await.unwrap_err();
        assert!(error.to_string().contains("manifest verification failed"), "{error}");
        let right = engine::ports::Descriptor { digest: of(&content()), ..descriptor(&content()) };
        assert!(repository.document(&right).await.is_ok());
        let wrong = engine::ports::Descriptor { digest: of(b"other"), ..right };
        let error = repository.document(&wrong).await.unwrap_err();
        assert!(error.to_string().contains("image config verification failed"), "{error}");
    }
}

#[tokio::test]
async fn refusals_keep_their_kind_and_their_words() {
    let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let site = Site::start(move |seen| match seen.path.rsplit('/').next().unwrap_or_default() {
        "missing" => Answer::new(404, unknown).json(),
        "denied" => Answer::new(403, r#"{"errors":[{"code":"DENIED"}]}"#).json(),
        "often" => Answer::new(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pay"}]}"#)
            .json()
            .with("Retry-After", "3600"),
        "broken" => Answer::new(500, "oops"),
        _ => Answer::new(200, ""),
    })
    .await;
    for (tag, kind, text) in [
        ("missing", Kind::NotFound, "manifest unknown: manifest unknown"),
        ("denied", Kind::Forbidden, "denied: requested access to the resource is denied"),
        (
            "often",
            Kind::TooManyRequests,
            "toomanyrequests: pay (the registry says: again in 3600 seconds)",
        ),
        ("broken", Kind::Internal, "received unexpected HTTP status: 500 Internal Server Error"),
    ] {
        let error = site.anonymous().manifest(tag).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, text.to_owned()));
    }
}

#[tokio::test]
async fn a_registry_that_is_being_restarted_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let site = Site::start(move |seen| {
        if !seen.path.contains("manifests") {
            return Answer::new(200, "");
        }
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::new(503, ""),
            1 => Answer::new(429, "").with("Retry-After", "0"),
            _ => Answer::new(200, manifest(b"{}")),
        }
    })
    .await;
    site.anonymous().manifest("1").await.unwrap();
}

#[tokio::test]
async fn where_nobody_listens_is_told_with_what_was_asked() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut gone = Site::start(|_| Answer::new(200, "")).await;
    gone.host = format!("127.0.0.1:{port}");
    let refused = format!(
        "Get \"http://127.0.0.1:{port}/v2/\": dial tcp 127.0.0.1:{port}: connect: connection refused"
    );
    assert_eq!(gone.anonymous().manifest("1").await.unwrap_err().to_string(), refused);
    assert_eq!(gone.anonymous().has_blob(&digest_of(b"x")).await.unwrap_err().to_string(), refused);
    let log_in = gone.registry().log_in(&gone.host, &user()).await;
    assert_eq!(log_in.unwrap_err().to_string(), refused);
}

#[tokio::test]
async fn a_registry_without_an_address_is_told_with_its_name() {
    let mut gone = Site::start(|_| Answer::new(200, "")).await;
    gone.host = "nowhere.invalid".to_owned();
    let error = gone.anonymous().manifest("1").await.unwrap_err().to_string();
    let begin = "Get \"https://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid";
    assert!(error.starts_with(begin), "{error}");
    // Which of the two depends on whether somebody can be asked.
    assert!(
        error.ends_with(": no such host") || error.ends_with(": server misbehaving"),
        "{error}"
    );
}

#[tokio::test]
async fn what_falls_silent_later_is_told_with_what_was_asked() {
    let site = Site::start(|_| Answer::new(200, "x".repeat(100)).cut(10)).await;
    let error = site.anonymous().manifest("1").await.unwrap_err().to_string();
    let begin = format!("Get \"http://{}/v2/x/manifests/1\": ", site.host);
    assert!(error.starts_with(&begin), "{error}");
}

#[tokio::test]
async fn all_pages_of_tags_are_read_and_none_from_elsewhere() {
    let elsewhere = Site::start(|_| Answer::new(200, r#"{"tags":["evil"]}"#)).await;
    let link = format!("<http://{}/v2/x/tags/list>; rel=\"next\"", elsewhere.host);
    let site = Site::start(move |seen| match seen.path.as_str() {
        "/v2/x/tags/list" => Answer::new(200, r#"{"tags":["a"]}"#)
            .with("Link", "</v2/x/tags/list?last=a>; rel=\"next\""),
        "/v2/x/tags/list?last=a" => {
            Answer::new(200, r#"{"tags":["b"]}"#).with("Link", link.clone())
        }
        _ => Answer::new(404, ""),
    })
    .await;
    assert_eq!(site.anonymous().tags().await.unwrap(), ["a", "b"]);
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_that_never_ends_does() {
    let site = Site::start(|_| Answer::new(307, "").with("Location", "/v2/x/again")).await;
    let error = site.anonymous().manifest("1").await.unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn a_search_shows_what_was_found_and_is_bounded() {
    use engine::ports::Credentials;
    let site = Site::start(|seen| match seen.path.as_str() {
        "/v1/search?q=busy+box&n=5" => Answer::new(
            200,
            r#"{"results":[{"name":"busybox","star_count":9,"is_official":true,"description":null}]}"#,
        ),
        _ => Answer::new(404, ""),
    })
    .await;
    let mut options = options();
    options.index = format!("http://{}/", site.host).parse().unwrap();
    let registry = crate::HttpRegistry::new(options);
    let found = registry.search("busy box", 5, &Credentials::default()).await.unwrap();
    assert_eq!((&*found[0].name, found[0].stars, found[0].official), ("busybox", 9, true));
    let error = registry.search("other", 5, &Credentials::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "Unexpected status code 404");
}
