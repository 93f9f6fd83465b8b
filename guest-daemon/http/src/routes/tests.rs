//! Which path goes where.

use super::*;

#[test]
fn an_unknown_path_is_page_not_found() {
    assert_eq!(failure(Method::GET, "/nonsense"), (404, "page not found".to_owned()));
    assert_eq!(failure(Method::PATCH, "/info").0, 404);
    assert_eq!(failure(Method::GET, "/").0, 404);
}

#[test]
fn what_is_not_built_says_so() {
    assert_eq!(
        failure(Method::POST, "/plugins/127.0.0.1:5000/t/push"),
        (501, "managing plugins is not implemented yet".to_owned())
    );
    assert_eq!(failure(Method::POST, "/grpc").0, 501);
}

#[test]
fn swarm_is_inactive() {
    for path in ["/swarm", "/nodes", "/services", "/services/x/update", "/configs/create"] {
        let (status, message) = failure(Method::GET, path);
        assert_eq!(status, 503, "{path}");
        assert!(message.starts_with("This node is not a swarm manager."), "{message}");
    }
    assert_eq!(failure(Method::PUT, "/volumes/v1").0, 503);
    assert_eq!(failure(Method::GET, "/servicesx").0, 404);
}

#[test]
fn names_come_out_decoded() {
    assert_eq!(name(Method::GET, "/images/foo%2Fbar%3A1/json"), "foo/bar:1");
    assert_eq!(name(Method::GET, "/images/127.0.0.1:5000/t:1/json"), "127.0.0.1:5000/t:1");
    assert_eq!(name(Method::POST, "/images/127.0.0.1:5000/t/push"), "127.0.0.1:5000/t");
    assert_eq!(name(Method::GET, "/distribution/a/b:1/json"), "a/b:1");
    assert_eq!(name(Method::DELETE, "/images/sha256:abc"), "sha256:abc");
    assert_eq!(name(Method::POST, "/containers/web/start"), "web");
    assert_eq!(name(Method::GET, "/images/get"), "");
    assert_eq!(failure(Method::GET, "/images/%zz/json").0, 400);
}

#[test]
fn only_what_is_known_to_do_so_looks() {
    // Whatever is sent by another method has an effect that must be thought about.
    let looking: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.effect == Effect::Looks)
        .filter(|route| route.method != Method::GET && route.method != Method::HEAD)
        .map(|route| route.pattern)
        .collect();
    assert_eq!(looking, ["/containers/{name}/wait"]);
    let streams = |route: &&Route| route.pattern.contains("attach");
    assert!(ROUTES.iter().filter(streams).all(|route| route.effect == Effect::Changes));
}

fn failure(method: Method, path: &str) -> (u16, String) {
    match find(&method, path) {
        Ok(target) => panic!("{path} is routed, name {:?}", target.name),
        Err(error) => (error.status.as_u16(), error.message),
    }
}

fn name(method: Method, path: &str) -> String {
    match find(&method, path) {
        Ok(target) => target.name,
        Err(error) => panic!("{path}: {}", error.message),
    }
}
