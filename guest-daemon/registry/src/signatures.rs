//! Whether an image may be used: what a policy asks for, and the signatures that cosign keeps
//! beside an image under the tag `sha256-….sig`.
//!
//! **Invariant:** whatever cannot be read, understood or fetched is a refusal.

mod cosign;
mod identity;
mod policy;

use std::path::Path;

use engine::images::reference::Reference;
use engine::{Error, Kind};

use crate::repository::Inner;
use cosign::Signature;
use policy::{Policy, Requirement, Signed};

/// Refuses an image that the policy in `file` does not let in. `digests` are its own and those of
/// the indexes that lead to it: whoever signed one of those has signed the image.
pub(crate) async fn check(
    repository: &Inner,
    file: &Path,
    image: &Reference,
    digests: &[String],
) -> engine::Result<()> {
    let refused = |why: String| {
        let (name, file) = (image.familiar(), file.display());
        let text = format!("{name} is rejected by the signature policy {file}: {why}");
        Error::new(Kind::Forbidden, text)
    };
    let policy = Policy::read(file).map_err(|why| {
        let file = file.display();
        Error::new(Kind::Forbidden, format!("the signature policy {file} cannot be used: {why}"))
    })?;
    let mut found: Option<Vec<Signature>> = None;
    for requirement in policy.of(image) {
        match requirement {
            Requirement::Accept => {}
            Requirement::Reject => {
                return Err(refused("it rejects all images of this name".to_owned()));
            }
            Requirement::Unsupported(why) => return Err(refused(why.clone())),
            Requirement::Signed(signed) => {
                if found.is_none() {
                    found = Some(cosign::find(repository, digests).await?);
                }
                signed_by(signed, image, found.as_deref().unwrap_or_default()).map_err(refused)?;
            }
        }
    }
    Ok(())
}

/// One good signature is enough.
fn signed_by(signed: &Signed, image: &Reference, found: &[Signature]) -> Result<(), String> {
    let keys = signed.keys()?;
    let mut why =
        "no signature was found; sign the image with cosign, or change the policy".to_owned();
    for signature in found {
        let accepted = signature
            .verified(&keys)
            .and_then(|reference| signed.identity().check(image, &reference));
        match accepted {
            Ok(()) => return Ok(()),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests;
