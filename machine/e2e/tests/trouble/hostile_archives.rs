//! Archives and images that mean harm, by every way in: refused with a reason, nothing of them
//! stays, and the daemon goes on without having grown.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use machine_e2e::kept::Kept;
use machine_e2e::registry::{MANIFEST, tunnel};
use machine_e2e::{Check, Finished, Machine, Proxy, Run, archive, hostile};
use serde_json::{Value, json};

use crate::survival::daemon;

pub(crate) const CHECKS: &[Check<Machine>] = &[
    ("a_hostile_layer_is_refused_by_every_way_in", layers),
    ("an_archive_that_lies_or_can_be_read_in_two_ways_is_refused", archives),
    ("a_registry_that_lies_or_can_be_read_in_two_ways_is_refused", documents),
];

/// What the daemon may need beyond what it has when nothing happens.
const TOLERATED_KIB: u64 = 64 << 10;

/// What must be as before.
struct Before {
    daemon: String,
    resident: u64,
    images: String,
    kept: Kept,
}

impl Before {
    fn of(on: &Machine) -> Result<Self> {
        let daemon = daemon(on)?;
        // From now on the highest that was ever resident is counted anew.
        on.ssh([format!("echo 5 >/proc/{daemon}/clear_refs").as_str()]).run()?.ok()?;
        let (resident, images) = (memory(on, &daemon, "VmRSS")?, images(on)?);
        Ok(Self { daemon, resident, images, kept: Kept::on(on)? })
    }

    fn is_now(&self, on: &Machine) -> Result<()> {
        ensure!(daemon(on)? == self.daemon, "it is another daemon");
        let highest = memory(on, &self.daemon, "VmHWM")?;
        let resident = self.resident;
        ensure!(highest <= resident + TOLERATED_KIB, "{resident} KiB became {highest} KiB");
        ensure!(images(on)? == self.images, "{}", images(on)?);
        let find = "find / /run /tmp /var/lib/docker -xdev -name 'hostile*'";
        let found = on.ssh([find]).run()?.text()?;
        ensure!(found.is_empty(), "{found}");
        self.kept.is_all(on)
    }
}

fn memory(on: &Machine, daemon: &str, name: &str) -> Result<u64> {
    let status = on.ssh(["cat", &format!("/proc/{daemon}/status")]).run()?.text()?;
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.with_context(|| status.clone())?.parse().context("no number")
}

fn images(on: &Machine) -> Result<String> {
    let format = "{{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}}";
    on.docker(["images", "-a", "--no-trunc", "--format", format]).run()?.text()
}

fn refused(tries: &str, ran: &Finished, why: &str) -> Result<()> {
    let told = ran.code != 0 && ran.stderr.contains(why);
    ensure!(told, "{tries}: wanted {why:?}: {ran}");
    Ok(())
}

/// What a registry has, by path.
type Shelf = BTreeMap<String, (String, Vec<u8>)>;

fn put_blob(shelf: &mut Shelf, content: &[u8]) -> String {
    let digest = archive::digest(content);
    let path = format!("/v2/hostile/blobs/{digest}");
    shelf.insert(path, ("application/octet-stream".to_owned(), content.to_vec()));
    digest
}

fn put_manifest(shelf: &mut Shelf, tag: &str, manifest: &str) {
    let path = format!("/v2/hostile/manifests/{tag}");
    shelf.insert(path, (MANIFEST.to_owned(), manifest.as_bytes().to_vec()));
}

/// A manifest as it should be, of an image of one layer; its blobs are on the shelf.
fn manifest(shelf: &mut Shelf, layer: &[u8]) -> Value {
    let config = archive::image_config(&json!({}), &[layer.to_vec()]);
    let digest = put_blob(shelf, config.as_bytes());
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest,
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": put_blob(shelf, layer),
            "size": layer.len(),
        }],
    })
}

fn layers(on: &Machine) -> Result<()> {
    let all = hostile::layers()?;
    let mut shelf = Shelf::new();
    for (number, layer) in all.iter().enumerate() {
        let manifest = manifest(&mut shelf, &layer.content);
        put_manifest(&mut shelf, &number.to_string(), &manifest.to_string());
    }
    let proxy = Proxy::of(shelf)?;
    let _way = tunnel(on, proxy.port, proxy.port)?;
    let before = Before::of(on)?;
    for (number, layer) in all.into_iter().enumerate() {
        let name = format!("127.0.0.1:{}/hostile:{number}", proxy.port);
        refused(layer.tries, &on.docker(["pull", &name]).run()?, layer.why)?;
        let imported = on.docker(["import", "-", "hostile"]).run_with(&layer.content)?;
        refused(layer.tries, &imported, layer.why)?;
        let image = archive::docker_archive("hostile:1", json!({}), &[layer.content])?;
        refused(layer.tries, &on.docker(["load"]).run_with(&image)?, layer.why)?;
    }
    before.is_now(on)
}

fn archives(on: &Machine) -> Result<()> {
    let layer = archive::layer(&[("f", b"x")])?;
    let config = archive::image_config(&json!({}), std::slice::from_ref(&layer));
    let (of_config, of_layer) = (archive::digest(config.as_bytes()), archive::digest(&layer));
    let config_part = format!(r#""config":{{"digest":"{of_config}","size":{}}}"#, config.len());
    let layers = format!(r#""layers":[{{"digest":"{of_layer}","size":{}}}]"#, layer.len());
    let nowhere = format!("sha256:{}", "0".repeat(64));
    let other = |from: &str, to: &str| format!("{{{config_part},{}}}", layers.replace(from, to));
    let before = Before::of(on)?;
    for (manifest, why) in [
        (format!("{{{config_part},{layers},\"manifests\":[]}}"), "ambiguous"),
        (format!("{{{config_part},{layers},{layers}}}"), "duplicate field"),
        (format!("{{{config_part},\"layers\":[]}}"), "layers length mismatch"),
        (other(&of_layer, &nowhere), "has no file"),
        (other("sha256", "md5"), "no digest"),
        (other("size\":", "size\":1"), "bytes, not"),
        (other("size\":", "size\":-"), "invalid"),
    ] {
        let of_manifest = archive::digest(manifest.as_bytes());
        let index = format!(r#"{{"manifests":[{{"digest":"{of_manifest}"}}]}}"#);
        let blobs = [manifest.as_bytes(), config.as_bytes(), &layer];
        let loaded = on.docker(["load"]).run_with(&archive::oci_layout(&index, &blobs)?)?;
        refused(&manifest, &loaded, why)?;
    }
    let many = format!("[{}{{}}]", "{},".repeat(200_000));
    let large = format!("[\"{}\"]", "x".repeat(9 << 20));
    for (document, why) in [(many, "too many parts"), (large, "too large")] {
        let archive = archive::layer(&[("manifest.json", document.as_bytes())])?;
        refused(why, &on.docker(["load"]).run_with(&archive)?, why)?;
    }
    let mut cut = archive::docker_archive("hostile:1", json!({}), &[layer])?;
    cut.truncate(cut.len() / 2);
    refused("half an archive", &on.docker(["load"]).run_with(&cut)?, "")?;
    before.is_now(on)
}

fn documents(on: &Machine) -> Result<()> {
    let mut shelf = Shelf::new();
    let layer = archive::layer(&[("f", &archive::noise(1000)?)])?;
    let good = manifest(&mut shelf, &layer);
    let mut whys = Vec::new();
    let mut put = |shelf: &mut Shelf, why: &'static str, text: &str| {
        put_manifest(shelf, &whys.len().to_string(), text);
        whys.push(why);
    };
    for (place, value, why) in [
        ("/manifests", json!([]), "ambiguous"),
        ("/schemaVersion", json!(1), "schema 1 support has been removed"),
        ("/layers/0/size", json!(-1), "is invalid"),
        ("/layers/0/size", json!(10), "is longer than the 10 bytes"),
        ("/layers/0/digest", json!("md5:00"), "no digest that is supported"),
        ("/layers", json!([]), "layers from manifest don't match image configuration"),
        ("/config/digest", good["layers"][0]["digest"].clone(), "invalid"),
    ] {
        let mut bad = good.clone();
        match bad.pointer_mut(place) {
            Some(found) => *found = value,
            None => bad["manifests"] = value,
        }
        put(&mut shelf, why, &bad.to_string());
    }
    // Blobs that are other ones.
    for (part, why) in [
        ("config", "image config verification failed"),
        ("layers", "filesystem layer verification failed"),
    ] {
        let own = archive::layer(&[("own", part.as_bytes())])?;
        let bad = manifest(&mut shelf, &own);
        let descriptor = bad[part].get(0).unwrap_or(&bad[part]);
        let digest = descriptor["digest"].as_str().context("no digest")?;
        let blob = shelf.get_mut(&format!("/v2/hostile/blobs/{digest}")).context("no blob")?;
        blob.1.reverse();
        put(&mut shelf, why, &bad.to_string());
    }
    put(&mut shelf, "is larger than", &" ".repeat(5 << 20));
    put(&mut shelf, "too many parts", &format!("[{}0]", "0,".repeat(200_000)));
    let another = archive::digest(b"another");
    put_manifest(&mut shelf, &another, &good.to_string());
    let proxy = Proxy::of(shelf)?;
    let _way = tunnel(on, proxy.port, proxy.port)?;
    let before = Before::of(on)?;
    let name = format!("127.0.0.1:{}/hostile", proxy.port);
    for (number, why) in whys.into_iter().enumerate() {
        refused(why, &on.docker(["pull", &format!("{name}:{number}")]).run()?, why)?;
    }
    let by_digest = on.docker(["pull", &format!("{name}@{another}")]).run()?;
    refused("another manifest", &by_digest, "manifest verification failed")?;
    before.is_now(on)
}
