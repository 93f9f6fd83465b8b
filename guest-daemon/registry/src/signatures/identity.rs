//! Which name a signature has to be for. A signature for one name says nothing about another.

use engine::images::reference::Reference;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Identity {
    /// The same repository and tag.
    MatchExact {},
    /// The same, or the repository alone for an image that is pulled by its digest.
    MatchRepoDigestOrExact {},
    MatchRepository {},
    #[serde(rename_all = "camelCase")]
    ExactReference {
        docker_reference: String,
    },
    #[serde(rename_all = "camelCase")]
    ExactRepository {
        docker_repository: String,
    },
    #[serde(rename = "remapIdentity", rename_all = "camelCase")]
    Remapped {
        prefix: String,
        signed_prefix: String,
    },
}

impl Identity {
    /// `signed` is the name in the signature.
    pub(super) fn check(&self, image: &Reference, signed: &str) -> Result<(), String> {
        let parsed = Reference::parse(signed)
            .map_err(|_| format!("the signature is for {signed:?}, which is no name"))?;
        let fits = match self {
            Self::MatchExact {} => is_exact(image, &parsed),
            Self::MatchRepoDigestOrExact {} => is_usual(image, &parsed),
            Self::MatchRepository {} => image.repository() == parsed.repository(),
            Self::ExactReference { docker_reference } => {
                Reference::parse(docker_reference).is_ok_and(|wanted| is_exact(&wanted, &parsed))
            }
            Self::ExactRepository { docker_repository } => Reference::parse(docker_repository)
                .is_ok_and(|wanted| wanted.repository() == parsed.repository()),
            Self::Remapped { prefix, signed_prefix } => {
                is_usual(&remapped(image, prefix, signed_prefix), &parsed)
            }
        };
        if fits {
            return Ok(());
        }
        Err(format!(
            "the signature is for {signed}, which is not this image; signatures of cosign name no \
             tag and need a signedIdentity such as matchRepository"
        ))
    }
}

fn is_exact(image: &Reference, signed: &Reference) -> bool {
    image.tag.is_some() && image.digest.is_none() && image == signed
}

fn is_usual(image: &Reference, signed: &Reference) -> bool {
    match image.digest {
        Some(_) => image.repository() == signed.repository(),
        None => is_exact(image, signed),
    }
}

/// The name that the image had where it was signed.
fn remapped(image: &Reference, prefix: &str, signed_prefix: &str) -> Reference {
    let name = image.canonical();
    let moved = name
        .strip_prefix(prefix)
        .filter(|rest| rest.starts_with(['/', ':', '@']))
        .and_then(|rest| Reference::parse(&format!("{signed_prefix}{rest}")).ok());
    moved.unwrap_or_else(|| image.clone())
}
