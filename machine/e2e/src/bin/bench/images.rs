//! Pulling and loading, ours and dockerd side by side: an image of ten layers from a registry on
//! this machine's loopback address.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use machine_e2e::registry::Registry;
use machine_e2e::{Machine, archive};
use serde_json::json;

use crate::Table;
use crate::compare::{Side, ratio, sides};
use crate::reference::Reference;

/// Of the image. A layer has at least so many bytes; its last file may be larger. An emulated guest
/// needs minutes for more.
const LAYERS: usize = 10;
const LAYER_BYTES: usize = 10 << 20;
/// Who is asked for the image: the laptop, as both guests see it.
const LAPTOP: &str = "10.0.2.2";
/// How often each is measured, in turn.
const TIMES: usize = 3;

pub(crate) fn images(table: &mut Table) -> Result<()> {
    let insecure = format!("{LAPTOP}/32");
    let flags = ["--memory", "2048", "--engine-insecure-registry", &insecure];
    let machine = Machine::create("compared", &flags)?;
    let registry = Registry::open()?;
    let name = format!("{LAPTOP}:{}/ten", registry.port());
    let mut layers = layers(Path::new("/usr"))?;
    let megabytes = layers.iter().map(Vec::len).sum::<usize>() >> 20;
    let config = json!({"Cmd": ["sh"]});
    let (first, second) = (format!("{name}:1"), format!("{name}:2"));
    let folder = tempfile::tempdir()?;
    let (archive, changed) = (folder.path().join("first.tar"), folder.path().join("second.tar"));
    std::fs::write(&archive, archive::docker_archive(&first, config.clone(), &layers)?)?;
    layers[LAYERS - 1] = archive::layer(&[("changed", &vec![b'x'; 1 << 20])])?;
    std::fs::write(&changed, archive::docker_archive(&second, config, &layers)?)?;
    push(&[(&archive, &first), (&changed, &second)])?;
    let reference = Reference::start_like(&machine)?;
    let sides = sides(&machine, &reference)?;
    let mut measured = Vec::new();
    for _ in 0..TIMES {
        measured.push([round(&sides[0], &archive, &name)?, round(&sides[1], &archive, &name)?]);
    }
    rows(table, megabytes, &measured);
    Ok(())
}

/// Layers of real files, as many as it takes.
fn layers(from: &Path) -> Result<Vec<Vec<u8>>> {
    let mut folders = vec![from.to_owned()];
    let mut layers = Vec::new();
    let (mut layer, mut bytes) = (tar::Builder::new(Vec::new()), 0);
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            }
            if !kind.is_file() {
                continue;
            }
            bytes += usize::try_from(entry.metadata()?.len())?;
            layer.append_path_with_name(entry.path(), entry.path().strip_prefix("/")?)?;
            if bytes >= LAYER_BYTES {
                layers.push(
                    std::mem::replace(&mut layer, tar::Builder::new(Vec::new())).into_inner()?,
                );
                bytes = 0;
            }
            if layers.len() == LAYERS {
                return Ok(layers);
            }
        }
    }
    anyhow::bail!("{} has too few files", from.display())
}

/// From a machine of its own, so that the one which is measured has not seen it.
fn push(images: &[(&Path, &str)]) -> Result<()> {
    let insecure = format!("{LAPTOP}/32");
    let flags = ["--memory", "1024", "--engine-insecure-registry", &insecure];
    let maker = Machine::create("maker", &flags)?;
    for (archive, name) in images {
        timed(maker.docker(["load", "-q", "-i", path(archive)?]))?;
        timed(maker.docker(["push", "-q", name]))?;
    }
    Ok(())
}

fn path(of: &Path) -> Result<&str> {
    of.to_str().context("a path that is no text")
}

/// The seconds that a command takes, however many these are.
fn timed(mut command: Command) -> Result<f64> {
    let begun = Instant::now();
    let ended = command.output()?;
    ensure!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds and MiB.
struct Round {
    load: f64,
    pull: f64,
    changed: f64,
    disk: f64,
    /// The most that the engine's processes were ever resident with, above what they began with.
    memory: f64,
}

fn round(side: &Side<'_>, archive: &Path, name: &str) -> Result<Round> {
    let timed = |words: &[&str]| timed((side.docker)(words));
    let (first, second) = (format!("{name}:1"), format!("{name}:2"));
    let before = side.weight()?;
    let load = timed(&["load", "-q", "-i", path(archive)?])?;
    timed(&["rmi", &first])?;
    let empty = side.weight()?;
    let pull = timed(&["pull", "-q", &first])?;
    let full = side.weight()?;
    let changed = timed(&["pull", "-q", &second])?;
    timed(&["rmi", &first, &second])?;
    Ok(Round {
        load,
        pull,
        changed,
        disk: full.disk - empty.disk,
        memory: full.peak - before.resident,
    })
}

fn rows(table: &mut Table, megabytes: usize, rounds: &[[Round; 2]]) {
    let median = |of: fn(&Round) -> f64| {
        [0, 1].map(|side| {
            let mut values: Vec<f64> = rounds.iter().map(|round| of(&round[side])).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        })
    };
    let mut row = |what: &str, unit, values| table.row(what, ratio(unit, values));
    row(&format!("docker load, {LAYERS} layers, {megabytes} MiB, p50"), "s", median(|r| r.load));
    row("docker pull of it, p50", "s", median(|r| r.pull));
    row("docker pull with one changed layer of 1 MiB, p50", "s", median(|r| r.changed));
    row("disk that the pulled image takes", "MiB", median(|r| r.disk));
    // A peak is one of the process's whole life.
    let peak = [0, 1].map(|side| rounds[0][side].memory);
    row("the engine's processes, most resident above idle", "MiB", peak);
}
