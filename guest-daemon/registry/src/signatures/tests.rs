//! What a policy lets in, and what it does not.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Kind;
use engine::images::reference::Reference;
use engine::ports::{Access, Credentials, Registry};
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

use super::policy::{Policy, Requirement};
use crate::client::{HttpRegistry, Options};
use crate::documents::digest_of;
use crate::tests::site::{Answer, Site, options};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// What cosign signs.
fn payload(reference: &str, digest: &str) -> String {
    json!({
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
}

/// A registry where the image of `digest` has these signatures: what is signed, and with what.
async fn registry(digest: &str, signatures: Vec<(String, Vec<u8>)>) -> Site {
    let layers: Vec<Value> = signatures
        .iter()
        .map(|(payload, signature)| {
            json!({
                "mediaType": PAYLOAD,
                "digest": digest_of(payload.as_bytes()),
                "size": payload.len(),
                "annotations": {"dev.cosignproject.cosign/signature": STANDARD.encode(signature)},
            })
        })
        .collect();
    let manifest = json!({"schemaVersion": 2, "config": {}, "layers": layers}).to_string();
    let path = format!("/v2/x/manifests/{}.sig", digest.replace(':', "-"));
    Site::start(move |seen| {
        if seen.path == path && !signatures.is_empty() {
            return Answer::new(200, manifest.clone());
        }
        let blob = signatures.iter().find(|(payload, _)| {
            seen.path == format!("/v2/x/blobs/{}", digest_of(payload.as_bytes()))
        });
        match blob {
            Some((payload, _)) => Answer::new(200, payload.clone()),
            None => Answer::new(404, ""),
        }
    })
    .await
}

/// Asks whether `x:1` of the site may come in.
async fn permit(site: &Site, policy: &Value, digests: &[&str]) -> Result<(), engine::Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    std::fs::write(&file, policy.to_string()).unwrap();
    ask(site, file, digests).await
}

async fn ask(site: &Site, file: PathBuf, digests: &[&str]) -> Result<(), engine::Error> {
    let mut options: Options = options();
    options.registries.signature_policy = file.to_str().unwrap().to_owned();
    let image = Reference::parse(&format!("{}/x:1", site.host)).unwrap();
    let registry = HttpRegistry::new(options);
    let repository = registry.repository(&image, &Credentials::default(), Access::Pull).unwrap();
    let digests: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
    repository.permit(&image, &digests).await
}

fn signed_by(key: &KeyPair) -> Value {
    let key = STANDARD.encode(key.public_key_pem());
    let identity = json!({"type": "matchRepository"});
    json!({"default": [{"type": "sigstoreSigned", "keyData": key, "signedIdentity": identity}]})
}

#[tokio::test]
async fn an_image_that_is_signed_with_the_key_comes_in() {
    let digest = digest_of(b"image");
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let other = KeyPair::generate().unwrap();
        // The name is known only when the registry runs; a mirror of it is the same.
        let named = payload("signed.example/x", &digest);
        let signatures = vec![
            (payload("a", "b"), vec![1, 2, 3]),
            (named.clone(), key.sign(named.as_bytes()).unwrap()),
        ];
        let site = registry(&digest, signatures).await;
        let mut policy = signed_by(&key);
        policy["default"][0]["signedIdentity"] =
            json!({"type": "remapIdentity", "prefix": site.host, "signedPrefix": "signed.example"});
        let error = permit(&site, &policy, &[&digest]).await.unwrap_err();
        assert!(error.to_string().contains("name no tag"), "{error}");
        policy["default"][0]["signedIdentity"] =
            json!({"type": "exactRepository", "dockerRepository": "signed.example/x"});
        permit(&site, &policy, &[&digest]).await.unwrap();
        // Whoever signed the index has signed what it leads to.
        permit(&site, &policy, &[&digest, &digest_of(b"one of it")]).await.unwrap();
        policy["default"][0]["keyData"] = STANDARD.encode(other.public_key_pem()).into();
        let error = permit(&site, &policy, &[&digest]).await.unwrap_err();
        assert!(error.to_string().ends_with("is by a key of the policy"), "{error}");
    }
}

#[tokio::test]
async fn a_signature_for_another_image_or_of_another_kind_says_nothing() {
    let (digest, key) = (digest_of(b"image"), KeyPair::generate().unwrap());
    let other = digest_of(b"other");
    let foreign = payload("a/x", &digest).replace("cosign container image", "some other");
    for (payload, why) in [
        (payload("reg.example/x", &other), "is for sha256:"),
        (payload("reg.example/y", &digest), "is for reg.example/y, which is not this image"),
        (payload("No Name", &digest), "which is no name"),
        (foreign, "is of the type"),
        ("{}".to_owned(), "signs something unknown"),
        (payload("a/x", &digest).replace("\"type\"", "\"more\":1,\"type\""), "unknown field"),
    ] {
        let signature = key.sign(payload.as_bytes()).unwrap();
        let site = registry(&digest, vec![(payload.clone(), signature)]).await;
        let error = permit(&site, &signed_by(&key), &[&digest]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Forbidden);
        assert!(error.to_string().contains(why), "{payload}: {error}");
    }
}

#[tokio::test]
async fn without_a_signature_or_a_policy_that_can_be_read_nothing_comes_in() {
    let digest = digest_of(b"image");
    let site = registry(&digest, Vec::new()).await;
    let key = KeyPair::generate().unwrap();
    let error = permit(&site, &signed_by(&key), &[&digest]).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}/x:1 is rejected by the signature policy", site.host)));
    assert!(error.ends_with("sign the image with cosign, or change the policy"), "{error}");
    let error = ask(&site, "/nonexistent/policy.json".into(), &[&digest]).await.unwrap_err();
    assert!(error.to_string().contains("cannot be used: No such file"), "{error}");
    let by_gpg = json!({"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]});
    let error = permit(&site, &by_gpg, &[&digest]).await.unwrap_err().to_string();
    assert!(error.contains("use sigstoreSigned with a public key"), "{error}");
    let lost = json!({"default": [{"type": "sigstoreSigned", "keyPath": "/nonexistent/k.pub"}]});
    let error = permit(&site, &lost, &[&digest]).await.unwrap_err().to_string();
    assert!(error.contains("the key /nonexistent/k.pub cannot be used"), "{error}");
    let down = Site::start(|_| Answer::new(403, "")).await;
    permit(&down, &signed_by(&key), &[&digest]).await.unwrap_err();
}

#[test]
fn the_narrowest_scope_counts() {
    let requirement = |kind: &str| json!([{"type": kind}]);
    let accept = requirement("insecureAcceptAnything");
    let policy = json!({
        "default": requirement("reject"),
        "transports": {
            "docker": {
                "reg.example/team": accept,
                "reg.example/team/bad": requirement("reject"),
                "reg.example/team/bad:good": accept,
                "*.wild.example": accept,
                "docker.io/library/busybox": accept,
            },
            "docker-daemon": {"": accept},
        },
    });
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    for (name, accepted) in [
        ("reg.example/team/app:1", true),
        ("reg.example/teams/app:1", false),
        ("reg.example/team/bad:1", false),
        ("reg.example/team/bad:good", true),
        ("a.b.wild.example/x:1", true),
        ("wild.example/x:1", false),
        ("busybox:1", true),
        ("debian:1", false),
    ] {
        let requirements = policy.of(&Reference::parse(name).unwrap());
        assert_eq!(matches!(requirements, [Requirement::Accept]), accepted, "{name}");
    }
}

#[test]
fn a_policy_that_says_something_unknown_is_refused() {
    let key = json!({"type": "sigstoreSigned", "keyPath": "/k"});
    let with = |name: &str, value: Value| {
        let mut more = key.clone();
        more[name] = value;
        json!({"default": [more]})
    };
    for (policy, why) in [
        (json!({}), "missing field `default`"),
        (json!({"default": []}), "is empty"),
        (json!({"default": [{}]}), "has no type"),
        (json!({"default": [{"type": "trustMe"}]}), "\"trustMe\" is no type"),
        (json!({"default": [{"type": "reject", "but": 1}]}), "nothing but its type"),
        (json!({"default": [{"type": "sigstoreSigned"}]}), "exactly one of"),
        (json!({"defaults": [key.clone()]}), "unknown field"),
        (with("keyData", "aGk=".into()), "exactly one of"),
        (with("keyFile", "/k".into()), "unknown field"),
        (with("signedIdentity", json!({"type": "matchAnything"})), "unknown variant"),
        (with("signedIdentity", json!({"type": "matchExact", "x": 1})), "unknown field"),
    ] {
        let error = Policy::parse(policy.to_string().as_bytes()).unwrap_err();
        assert!(error.contains(why), "{policy}: {error}");
    }
}

#[test]
fn damaged_policies_are_read_or_refused() {
    let policy = json!({
        "default": [{"type": "sigstoreSigned", "keyPath": "/k",
            "signedIdentity": {"type": "matchRepository"}}],
        "transports": {"docker": {"reg.example": [{"type": "reject"}]}},
    });
    fuzz::rounds(&[policy.to_string().into_bytes()], |bytes| drop(Policy::parse(bytes)));
}
