//! Images that need a signature: a policy in the machine, and what cosign puts beside an image.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use machine_e2e::kept::Kept;
use machine_e2e::registry::{MANIFEST, Registry};
use machine_e2e::{Check, Machine, Run, archive};
use serde_json::json;

pub(crate) const CHECKS: &[Check<Machine>] =
    &[("only_images_that_are_signed_with_the_key_come_in", signed)];

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

fn signed(on: &Machine) -> Result<()> {
    let registry = Registry::open()?;
    let _way = registry.reach(on)?;
    let host = &registry.host;
    let folder = tempfile::tempdir()?;
    let (own, other) = (key(folder.path(), "own")?, key(folder.path(), "other")?);
    let put = |repository: &str| {
        let layer = archive::layer(&[("name", repository.as_bytes())])?;
        registry.put_image(repository, "1", &json!({"Cmd": ["/x"]}), &[layer])
    };
    let good = put("team/good")?;
    sign(&registry, "team/good", &good, &good, &own)?;
    let wrong = put("team/wrong")?;
    sign(&registry, "team/wrong", &wrong, &wrong, &other)?;
    let borrowed = put("team/borrowed")?;
    sign(&registry, "team/borrowed", &borrowed, &good, &own)?;
    put("team/unsigned")?;
    put("elsewhere")?;
    let refused = |name: &str, why: &str| -> Result<()> {
        let name = format!("{host}/{name}:1");
        on.docker(["pull", &name]).run()?.code(1)?.says(why)?;
        ensure!(on.docker(["images", "-q", &name]).run()?.text()?.is_empty(), "{name} is listed");
        Ok(())
    };

    refused("elsewhere", "the signature policy /etc/docker/policy.json cannot be used")?;
    let policy = json!({
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {"docker": {format!("{host}/team"): [{
            "type": "sigstoreSigned",
            "keyPath": "/etc/docker/own.pub",
            "signedIdentity": {"type": "matchRepository"},
        }]}},
    });
    let file = folder.path().join("policy.json");
    std::fs::write(&file, policy.to_string())?;
    for file in [file, folder.path().join("own.pub")] {
        let place = format!("{}:/etc/docker/", on.name);
        on.host.machine().arg("scp").arg(file).arg(place).run()?.ok()?;
    }
    on.docker(["pull", &format!("{host}/elsewhere:1")]).run()?.ok()?;
    let name = format!("{host}/team/good:1");
    on.docker(["pull", &name]).run()?.ok()?;
    let id = on.docker(["images", "-q", &name]).run()?.text()?;

    let before = Kept::on(on)?;
    refused("team/unsigned", "no signature was found; sign the image with cosign")?;
    refused("team/wrong", "none of its signatures is by a key of the policy")?;
    refused("team/borrowed", &format!("the signature is for {good}, not {borrowed}"))?;
    // A tag that moves to something that is not signed.
    let moved = archive::layer(&[("moved", b"here")])?;
    registry.put_image("team/good", "1", &json!({"Cmd": ["/x"]}), &[moved])?;
    let pulled = on.docker(["pull", &name]).run()?;
    pulled.code(1)?.says(&format!("{name} is rejected by the signature policy"))?;
    ensure!(on.docker(["images", "-q", &name]).run()?.text()? == id, "it is another one");
    before.is_all(on)?;
    on.docker(["rmi", &name, &format!("{host}/elsewhere:1")]).run()?.ok()
}

/// The file of a private key. The public one is beside it, as `NAME.pub`.
fn key(folder: &Path, name: &str) -> Result<PathBuf> {
    let private = folder.join(format!("{name}.pem"));
    let kind = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    Command::new("openssl").args(kind).arg("-out").arg(&private).run()?.ok()?;
    let public = folder.join(format!("{name}.pub"));
    let words = ["pkey", "-pubout", "-in"];
    Command::new("openssl").args(words).arg(&private).arg("-out").arg(public).run()?.ok()?;
    Ok(private)
}

/// What `cosign sign --key` does: beside the image `beside`, a signature for `digest`.
fn sign(
    registry: &Registry,
    repository: &str,
    beside: &str,
    digest: &str,
    key: &Path,
) -> Result<()> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": format!("{}/{repository}", registry.host)},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string();
    let folder = tempfile::tempdir()?;
    let (content, signature) = (folder.path().join("content"), folder.path().join("signature"));
    std::fs::write(&content, &payload)?;
    let words = ["dgst", "-sha256", "-sign"];
    let mut openssl = Command::new("openssl");
    openssl.args(words).arg(key).arg("-out").arg(&signature).arg(&content).run()?.ok()?;
    let signature = STANDARD.encode(std::fs::read(&signature)?);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": registry.put_blob(repository, b"{}")?,
            "size": 2,
        },
        "layers": [{
            "mediaType": PAYLOAD,
            "digest": registry.put_blob(repository, payload.as_bytes())?,
            "size": payload.len(),
            "annotations": {"dev.cosignproject.cosign/signature": signature},
        }],
    });
    let tag = format!("{}.sig", beside.replace(':', "-"));
    registry.put_manifest(repository, &tag, MANIFEST, &manifest.to_string())
}
