//! `policy.json`, as containers-policy.json(5) describes it: requirements by transport and scope.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::images::reference::Reference;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::identity::Identity;

/// Bytes of a policy, or of a key.
const LARGEST: u64 = 1 << 20;
/// Images that are pulled; the only transport here.
const TRANSPORT: &str = "docker";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// All of those that are for an image have to be met.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(super) enum Requirement {
    Accept,
    Reject,
    Signed(Signed),
    /// What could be asked for and cannot be checked here, and what to do instead.
    Unsupported(String),
}

/// Signed with one of these keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Signed {
    key_path: Option<PathBuf>,
    key_paths: Vec<PathBuf>,
    key_data: Option<String>,
    key_datas: Vec<String>,
    signed_identity: Option<Identity>,
}

pub(super) type Key = SubjectPublicKeyInfoDer<'static>;

impl TryFrom<Map<String, Value>> for Requirement {
    type Error = String;

    fn try_from(mut map: Map<String, Value>) -> Result<Self, String> {
        let kind = map.remove("type");
        let kind = kind.as_ref().and_then(Value::as_str).ok_or("a requirement has no type")?;
        match kind {
            "insecureAcceptAnything" | "reject" if !map.is_empty() => {
                Err(format!("a requirement of the type {kind:?} has nothing but its type"))
            }
            "insecureAcceptAnything" => Ok(Self::Accept),
            "reject" => Ok(Self::Reject),
            "signedBy" => Ok(Self::Unsupported(
                "signedBy (GPG) is not supported; use sigstoreSigned with a public key of cosign"
                    .to_owned(),
            )),
            "sigstoreSigned" => sigstore(map),
            _ => Err(format!("{kind:?} is no type of a requirement")),
        }
    }
}

fn sigstore(map: Map<String, Value>) -> Result<Requirement, String> {
    let keyless = ["fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths"];
    let more = ["rekorPublicKeyData", "rekorPublicKeyDatas"];
    if let Some(name) = keyless.iter().chain(&more).find(|name| map.contains_key(**name)) {
        return Ok(Requirement::Unsupported(format!(
            "{name} is not supported; use sigstoreSigned with a public key (keyPath or keyData)"
        )));
    }
    let signed: Signed =
        serde_json::from_value(Value::Object(map)).map_err(|error| error.to_string())?;
    let ways = [
        signed.key_path.is_some(),
        !signed.key_paths.is_empty(),
        signed.key_data.is_some(),
        !signed.key_datas.is_empty(),
    ];
    if ways.iter().filter(|given| **given).count() != 1 {
        return Err(
            "sigstoreSigned has exactly one of keyPath, keyPaths, keyData and keyDatas".to_owned()
        );
    }
    Ok(Requirement::Signed(signed))
}

impl Policy {
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        Self::parse(&read(file)?)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let policy: Self = crate::documents::parse(bytes)?;
        let all = policy.transports.values().flat_map(BTreeMap::values);
        if all.chain([&policy.default]).any(Vec::is_empty) {
            return Err("a list of requirements is empty".to_owned());
        }
        Ok(policy)
    }

    /// What the narrowest scope that an image is in asks for.
    pub(super) fn of(&self, image: &Reference) -> &[Requirement] {
        let found = self
            .transports
            .get(TRANSPORT)
            .and_then(|scopes| scopes_of(image).iter().find_map(|scope| scopes.get(scope)));
        found.unwrap_or(&self.default)
    }
}

/// The image, its repository, the namespaces it is in, its registry, the domains of that, all.
fn scopes_of(image: &Reference) -> Vec<String> {
    let repository = image.repository();
    let mut scopes = Vec::new();
    match (&image.digest, &image.tag) {
        (Some(digest), _) => scopes.push(format!("{repository}@{digest}")),
        (None, Some(tag)) => scopes.push(format!("{repository}:{tag}")),
        (None, None) => {}
    }
    let mut at = repository.as_str();
    scopes.push(at.to_owned());
    while let Some((above, _)) = at.rsplit_once('/') {
        scopes.push(above.to_owned());
        at = above;
    }
    let mut domain = image.domain();
    while let Some((_, above)) = domain.split_once('.') {
        scopes.push(format!("*.{above}"));
        domain = above;
    }
    scopes.push(String::new());
    scopes
}

impl Signed {
    pub(super) fn identity(&self) -> &Identity {
        self.signed_identity.as_ref().unwrap_or(&Identity::MatchRepoDigestOrExact {})
    }

    pub(super) fn keys(&self) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        for path in self.key_path.iter().chain(&self.key_paths) {
            let why = |why: String| format!("the key {} cannot be used: {why}", path.display());
            keys.push(read(path).and_then(|pem| key(&pem)).map_err(why)?);
        }
        for data in self.key_data.iter().chain(&self.key_datas) {
            let pem = STANDARD.decode(data).map_err(|_| "keyData is not base64".to_owned())?;
            keys.push(key(&pem).map_err(|why| format!("keyData cannot be used: {why}"))?);
        }
        Ok(keys)
    }
}

fn key(pem: &[u8]) -> Result<Key, String> {
    Key::from_pem_slice(pem).map_err(|error| format!("it is no public key in PEM form: {error}"))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST).read_to_end(&mut content))
        .map_err(|error| error.to_string())?;
    Ok(content)
}
