//! Images: load, import, list, tag, inspect, save, remove.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, archive, eventually};
use serde_json::{Value, json};

use crate::fixture::Fixture;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_loaded_image_is_listed", listed),
    ("a_compressed_archive_is_loaded", compressed),
    ("a_layer_that_is_not_what_it_claims_is_refused", lying_layer),
    ("something_else_than_an_archive_is_refused", not_an_archive),
    ("an_imported_root_runs_with_its_changes", import),
    ("a_root_is_imported_from_the_web", import_from),
    ("a_tag_is_another_name_and_goes_alone", tag),
    ("an_image_in_use_is_not_removed", in_use),
    ("inspect_shows_the_configuration", inspect),
    ("what_was_saved_can_be_loaded", save),
    ("an_unknown_image_is_named", unknown),
    ("layers_cover_each_other_and_whiteouts_delete", layers),
];

fn listed(on: &Fixture) -> Result<()> {
    let names = on.text(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    ensure!(names.lines().any(|name| name == "busybox:latest"), "{names}");
    Ok(())
}

fn compressed(on: &Fixture) -> Result<()> {
    let plain = small("compressed:1", b"content")?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("image.tar");
    std::fs::write(&path, plain)?;
    std::process::Command::new("gzip").arg(&path).run()?.ok()?;
    let path = format!("{}.gz", path.display());
    let text = on.text(&["load", "-i", &path])?;
    ensure!(text.contains("Loaded image: compressed:1"), "{text}");
    on.text(&["rmi", "compressed:1"]).map(drop)
}

fn small(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    archive::docker_archive(name, json!({"Cmd": ["/x"]}), &[one_file("x", content)?])
}

fn one_file(path: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content)?;
    Ok(archive.into_inner()?)
}

fn lying_layer(on: &Fixture) -> Result<()> {
    let honest = small("liar:1", b"AAAAAAAA")?;
    let at = honest.windows(8).position(|window| window == b"AAAAAAAA").unwrap_or(0);
    let mut lying = honest;
    lying[at] = b'B';
    let loaded = on.docker(["load"]).run_with(&lying)?;
    ensure!(loaded.code != 0, "{loaded}");
    let names = on.text(&["images", "-q", "liar"])?;
    ensure!(names.is_empty(), "half an image is listed: {names}");
    Ok(())
}

fn not_an_archive(on: &Fixture) -> Result<()> {
    let loaded = on.docker(["load"]).run_with(&vec![b'x'; 4096])?;
    ensure!(loaded.code != 0, "{loaded}");
    Ok(())
}

fn import(on: &Fixture) -> Result<()> {
    let root = archive::busybox_root()?;
    let flags =
        ["import", "-c", "ENV GREETING=hello", "-c", "CMD [\"sh\", \"-c\", \"echo $GREETING\"]"];
    let imported = on.docker(flags.into_iter().chain(["-", "imported:1"])).run_with(&root)?;
    ensure!(imported.text()?.starts_with("sha256:"), "{imported}");
    let said = on.text(&["run", "--rm", "imported:1"])?;
    ensure!(said == "hello", "{said}");
    on.text(&["rmi", "imported:1"]).map(drop)
}

fn import_from(on: &Fixture) -> Result<()> {
    let root = one_file("x", b"from the web")?;
    let files = archive::layer(&[("srv/root.tar", &root)])?;
    let config = json!({"Env": ["PATH=/bin"]});
    let image = archive::docker_archive("files:1", config, &[archive::busybox_root()?, files])?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    let server = ["run", "-d", "--name", "files", "files:1", "httpd", "-f", "-h", "/srv"];
    on.text(&server)?;
    let served = ["exec", "files", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/root.tar"];
    eventually("it serves", || Ok(on.docker(served).run()?.code == 0))?;
    let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
    let url = format!("http://{}/root.tar", on.text(&["inspect", "-f", address, "files"])?);
    let imported = on.text(&["import", &url, "fetched:1"])?;
    ensure!(imported.contains("sha256:"), "{imported}");
    let comment = on.text(&["image", "inspect", "-f", "{{.Comment}}", "fetched:1"])?;
    ensure!(comment == format!("Imported from {url}"), "{comment}");
    let missing = on.docker(["import", &format!("{url}.gz")]).run()?;
    missing.code(1)?.says("failed to GET")?;
    on.text(&["rm", "-f", "files"])?;
    on.text(&["rmi", "fetched:1", "files:1"]).map(drop)
}

fn tag(on: &Fixture) -> Result<()> {
    on.text(&["tag", "busybox", "other/name:v1"])?;
    let same = on.text(&["images", "-q", "other/name:v1"])?;
    ensure!(same == on.text(&["images", "-q", "busybox"])?, "{same}");
    let removed = on.text(&["rmi", "other/name:v1"])?;
    ensure!(removed == "Untagged: other/name:v1", "{removed}");
    on.text(&["image", "inspect", "busybox"]).map(drop)
}

fn in_use(on: &Fixture) -> Result<()> {
    on.text(&["tag", "busybox", "used:1"])?;
    let id = on.text(&["create", "used:1", "true"])?;
    let image = on.text(&["images", "-q", "--no-trunc", "used:1"])?;
    let refused = on.docker(["rmi", &image]).run()?;
    ensure!(refused.code == 1, "{refused}");
    on.text(&["rm", &id])?;
    on.text(&["rmi", "used:1"]).map(drop)
}

fn inspect(on: &Fixture) -> Result<()> {
    let text = on.text(&["image", "inspect", "busybox"])?;
    let image: Value = serde_json::from_str(&text)?;
    let image = &image[0];
    ensure!(image["Config"]["Cmd"] == json!(["sh"]), "{image}");
    ensure!(image["Os"] == "linux" && image["Architecture"] == "amd64", "{image}");
    ensure!(
        image["RootFS"]["Layers"].as_array().is_some_and(|layers| layers.len() == 1),
        "{image}"
    );
    let history = on.text(&["history", "--format", "{{.CreatedBy}}", "busybox"])?;
    ensure!(history == "by hand", "{history}");
    Ok(())
}

fn save(on: &Fixture) -> Result<()> {
    let archive = small("saved:1", b"saved content")?;
    on.docker(["load", "-q"]).run_with(&archive)?.ok()?;
    let id = on.text(&["images", "-q", "--no-trunc", "saved:1"])?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("saved.tar").display().to_string();
    on.text(&["save", "-o", &path, "saved:1"])?;
    on.text(&["rmi", "saved:1"])?;
    on.text(&["load", "-i", &path])?;
    ensure!(on.text(&["images", "-q", "--no-trunc", "saved:1"])? == id, "another id");
    on.text(&["rmi", "saved:1"]).map(drop)
}

fn unknown(on: &Fixture) -> Result<()> {
    on.docker(["image", "inspect", "nosuch"])
        .run()?
        .code(1)?
        .says("No such image: nosuch:latest")?;
    let run = on.docker(["run", "--pull", "never", "nosuch"]).run()?;
    run.code(125)?.says("No such image: nosuch:latest").map(drop)
}

fn layers(on: &Fixture) -> Result<()> {
    let upper = {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in
            [("etc/.wh.group", ""), ("etc/passwd", "root:x:0:0::/elsewhere:/bin/sh\n")]
        {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_bytes())?;
        }
        archive.into_inner()?
    };
    let image = archive::docker_archive(
        "layered:1",
        json!({"Env": ["PATH=/bin"]}),
        &[archive::busybox_root()?, upper],
    )?;
    on.docker(["load"]).run_with(&image)?.ok()?;
    let seen = on.text(&["run", "--rm", "layered:1", "sh", "-c", "ls /etc; echo $HOME"])?;
    ensure!(!seen.contains("group") && seen.contains("passwd"), "{seen}");
    ensure!(seen.ends_with("/elsewhere"), "{seen}");
    on.text(&["rmi", "layered:1"]).map(drop)
}
