//! Who gets to see credentials, and who does not.

use engine::Kind;
use engine::images::reference::Reference;
use engine::ports::{Access, Credentials, Registry};

use super::site::{Answer, BASIC, Seen, Site, descriptor, manifest, options, read, user};
use crate::client::HttpRegistry;

/// A registry that wants a token of its own token server.
fn with_tokens(seen: &Seen) -> Answer {
    if seen.path == "/token" {
        return Answer::new(200, r#"{"access_token":"t1","expires_in":300}"#);
    }
    if seen.path.starts_with("/token?") {
        if !seen.authorization.is_empty() && seen.authorization != BASIC {
            return Answer::new(401, r#"{"details":"incorrect username or password"}"#).json();
        }
        return Answer::new(200, r#"{"token":"t1","refresh_token":"identity"}"#);
    }
    if seen.authorization == "Bearer t1" {
        return Answer::new(200, manifest(b"{}"));
    }
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"reg\"", seen.host);
    Answer::new(401, "").with("WWW-Authenticate", realm)
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_again() {
    let site = Site::start(with_tokens).await;
    let repository = site.repository(&user(), Access::Pull);
    repository.manifest("1").await.unwrap();
    repository.manifest("2").await.unwrap();
    let tokens: Vec<_> =
        site.seen().into_iter().filter(|seen| seen.path.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].path, "/token?service=reg&scope=repository%3Ax%3Apull");
    assert_eq!(tokens[0].authorization, BASIC);
    let elsewhere = site.seen().into_iter().filter(|seen| !seen.path.starts_with("/token"));
    assert!(elsewhere.into_iter().all(|seen| seen.authorization != BASIC));
}

#[tokio::test]
async fn nobody_in_particular_gets_a_token_without_a_password() {
    let site = Site::start(with_tokens).await;
    site.anonymous().manifest("1").await.unwrap();
    assert!(site.seen().iter().all(|seen| !seen.authorization.starts_with("Basic")));
}

#[tokio::test]
async fn an_identity_token_is_sent_to_the_token_server_only() {
    let site = Site::start(with_tokens).await;
    let credentials =
        Credentials { identity_token: "identity".to_owned(), ..Credentials::default() };
    site.repository(&credentials, Access::Push).manifest("1").await.unwrap();
    let seen = site.seen();
    let token = seen.iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(
        std::str::from_utf8(&token.body).unwrap(),
        "grant_type=refresh_token&service=reg&client_id=docker&\
         scope=repository%3Ax%3Apull%2Cpush&refresh_token=identity"
    );
    assert!(seen.iter().all(|seen| !seen.path.contains("identity")));
}

#[tokio::test]
async fn logging_in_returns_the_identity_token_or_says_no() {
    let site = Site::start(with_tokens).await;
    let registry = HttpRegistry::new(options());
    assert_eq!(registry.log_in(&site.host, &user()).await.unwrap(), "identity");
    let wrong = Credentials { password: "wrong".to_owned(), ..user() };
    let error = registry.log_in(&site.host, &wrong).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert!(error.to_string().ends_with("unauthorized: incorrect username or password"), "{error}");
}

#[tokio::test]
async fn a_registry_with_passwords_gets_one_or_the_user_is_told() {
    let site = Site::start(|seen| {
        if seen.authorization == BASIC {
            return Answer::new(200, manifest(b"{}"));
        }
        Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\"")
    })
    .await;
    site.repository(&user(), Access::Pull).manifest("1").await.unwrap();
    let error = site.anonymous().manifest("1").await.unwrap_err().to_string();
    assert!(error.ends_with("/v2/x/manifests/1\": no basic auth credentials"), "{error}");
    let registry = HttpRegistry::new(options());
    assert_eq!(registry.log_in(&site.host, &user()).await.unwrap(), "");
    let wrong = Credentials { password: "wrong".to_owned(), ..user() };
    let error = registry.log_in(&site.host, &wrong).await.unwrap_err().to_string();
    let expected =
        format!("login attempt to http://{}/v2/ failed with status: 401 Unauthorized", site.host);
    assert_eq!(error, expected);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_place() {
    let store = Site::start(|_| Answer::new(200, "hello")).await;
    let location = format!("http://{}/bucket/blob?signature=x", store.host);
    let site = Site::start(move |seen| {
        if seen.authorization != BASIC {
            return Answer::new(401, "").with("WWW-Authenticate", "Basic realm=x");
        }
        if seen.path.contains("/blobs/") {
            return Answer::new(307, "").with("Location", location.clone());
        }
        Answer::new(200, "")
    })
    .await;
    let repository = site.repository(&user(), Access::Pull);
    assert_eq!(read(&*repository, &descriptor(b"hello")).await.unwrap(), b"hello");
    assert_eq!(store.asked(), ["GET /bucket/blob?signature=x"]);
    assert!(store.seen().iter().all(|seen| seen.authorization.is_empty()));
}

#[tokio::test]
async fn neither_a_realm_nor_a_redirect_leads_to_a_link_local_address() {
    let site = Site::start(|seen| match seen.path.as_str() {
        "/v2/x/manifests/realm" => Answer::new(401, "")
            .with("WWW-Authenticate", "Bearer realm=\"http://169.254.169.254/latest/meta-data\""),
        "/v2/x/manifests/redirect" => {
            Answer::new(302, "").with("Location", "http://[::ffff:169.254.169.254]/")
        }
        _ => Answer::new(200, ""),
    })
    .await;
    for tag in ["realm", "redirect"] {
        let error = site.repository(&user(), Access::Pull).manifest(tag).await.unwrap_err();
        assert!(error.to_string().contains("link-local"), "{error}");
    }
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_never_gets_the_hubs_credentials() {
    let mirror = Site::start(|seen| {
        if seen.authorization.is_empty() {
            return Answer::new(401, "").with("WWW-Authenticate", "Basic realm=x");
        }
        Answer::new(200, manifest(b"{}"))
    })
    .await;
    let hub = Site::start(|_| Answer::new(200, manifest(b"{}"))).await;
    let mut options = options();
    options.hub = format!("http://{}/", hub.host).parse().unwrap();
    options.registries.mirrors = vec![format!("http://{}/", mirror.host)];
    let name = Reference::parse("busybox").unwrap();
    let repository = HttpRegistry::new(options).repository(&name, &user(), Access::Pull).unwrap();
    repository.manifest("latest").await.unwrap();
    assert_eq!(mirror.asked(), ["GET /v2/library/busybox/manifests/latest"]);
    assert_eq!(hub.asked(), ["GET /v2/library/busybox/manifests/latest"]);
    assert!(mirror.seen().iter().all(|seen| seen.authorization.is_empty()));
}

#[tokio::test]
async fn a_mirror_that_breaks_in_the_middle_is_replaced_by_the_hub() {
    let content = vec![7; 100_000];
    let mirror = Site::start(|_| Answer::new(200, vec![7; 100_000]).cut(20_000)).await;
    let hub = Site::start(|_| Answer::new(200, vec![7; 100_000])).await;
    let mut options = options();
    options.hub = format!("http://{}/", hub.host).parse().unwrap();
    options.registries.mirrors = vec![format!("http://{}/", mirror.host)];
    let name = Reference::parse("busybox").unwrap();
    let repository = HttpRegistry::new(options)
        .repository(&name, &Credentials::default(), Access::Pull)
        .unwrap();
    assert!(read(&*repository, &descriptor(&content)).await.unwrap() == content);
    assert_eq!((!mirror.seen().is_empty(), hub.seen().len()), (true, 1));
}

#[tokio::test]
async fn a_proxy_is_used_for_what_is_not_excepted() {
    let proxy = Site::start(|_| Answer::new(200, manifest(b"{}"))).await;
    let mut options = options();
    options.registries.insecure_hosts = vec!["reg.invalid:5000".to_owned()];
    options.proxies.http = format!("http://{}", proxy.host);
    let name = Reference::parse("reg.invalid:5000/x").unwrap();
    let ask = |options| {
        let registry = HttpRegistry::new(options);
        registry.repository(&name, &Credentials::default(), Access::Pull).unwrap()
    };
    ask(options.clone()).manifest("1").await.unwrap();
    assert_eq!(proxy.asked(), ["GET http://reg.invalid:5000/v2/x/manifests/1"]);
    options.proxies.not_for = ".invalid".to_owned();
    assert!(ask(options).manifest("1").await.is_err());
    assert_eq!(proxy.asked().len(), 1);
}
