//! Ours and dockerd, side by side: the same work, one after the other, in one run.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use machine_e2e::api::{self, Api, Place};
use machine_e2e::{Machine, Run};

use crate::reference::Reference;
use crate::{Table, busybox};

/// How often each is measured, after a few times that do not count.
const TIMES: usize = 25;
const FIRST: usize = 3;
/// Containers that run while `docker ps` lists them: an emulated dockerd needs more than a second
/// to start each.
const RUNNING: usize = 50;

pub(crate) fn compare(table: &mut Table) -> Result<()> {
    let machine = Machine::create("compared", &["--memory", "2048"])?;
    let ours = Side {
        place: Place::Unix(machine.directory().join("docker.sock")),
        docker: Box::new(|words| machine.docker(words.iter().copied())),
        weights: Box::new(|| machine.ssh([WEIGHTS]).run()?.text()),
    };
    let mine = measure(&ours).context("our engine")?;
    let reference = Reference::start_like(&machine)?;
    let host = format!("tcp://127.0.0.1:{}", reference.port);
    let theirs = Side {
        place: Place::Port(reference.port),
        docker: Box::new(|words| {
            let mut docker = machine.docker(words.iter().copied());
            docker.env("DOCKER_HOST", &host).env_remove("DOCKER_TLS_VERIFY");
            docker.env_remove("DOCKER_CERT_PATH");
            docker
        }),
        weights: Box::new(|| reference.weights()),
    };
    let dockerd = measure(&theirs).context("dockerd")?;
    for (mine, dockerd) in mine.iter().zip(&dockerd) {
        let (name, unit) = (mine.name, mine.unit);
        let ratio = mine.value / dockerd.value;
        let value =
            format!("{:.1} {unit}, dockerd {:.1} {unit}: {ratio:.2}", mine.value, dockerd.value);
        table.row(name, value);
    }
    Ok(())
}

const WEIGHTS: &str =
    "grep -H -e VmRSS -e RssAnon -e Name: /proc/[0-9]*/status; grep -e Mem /proc/meminfo";

/// Makes a docker command for these words.
type Docker<'a> = Box<dyn Fn(&[&str]) -> Command + 'a>;

/// An engine.
struct Side<'a> {
    place: Place,
    docker: Docker<'a>,
    weights: Box<dyn Fn() -> Result<String> + 'a>,
}

struct Measured {
    name: &'static str,
    unit: &'static str,
    value: f64,
}

fn measure(side: &Side<'_>) -> Result<Vec<Measured>> {
    let docker = |words: &[&str]| (side.docker)(words).run()?.ok();
    (side.docker)(&["load"]).run_with(&busybox()?)?.ok()?;
    let idle = Weight::of(&(side.weights)()?);
    let mut api = Api::connect(&side.place)?;
    let life = median(|| api.whole_life())?;
    let run = median(|| docker(&["run", "--rm", "busybox", "true"]))?;
    docker(&["run", "-d", "--name", "runs", "busybox", "sleep", "100000"])?;
    let exec = median(|| api::exec(&side.place, "runs"))?;
    let before = Weight::of(&(side.weights)()?);
    for _ in 0..RUNNING {
        docker(&["run", "-d", "busybox", "sleep", "100000"])?;
    }
    let ps = median(|| docker(&["ps"]))?;
    let after = Weight::of(&(side.weights)()?);
    let each = |more: f64| more / RUNNING as f64;
    let measured = [
        ("create + start + wait + rm over the API, p50", "ms", life),
        ("exec over the API, p50", "ms", exec),
        ("docker run --rm busybox true, p50", "ms", run),
        ("docker ps with 51 running containers, p50", "ms", ps),
        ("the engine's processes when idle, resident", "MiB", idle.resident),
        ("of these not shared with files", "MiB", idle.anonymous),
        (
            "the engine's processes, for each running container",
            "MiB",
            each(after.resident - before.resident),
        ),
        (
            "memory of the guest, for each running container, itself included",
            "MiB",
            each(before.available - after.available),
        ),
    ];
    Ok(measured.map(|(name, unit, value)| Measured { name, unit, value }).into())
}

fn median(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..FIRST {
        work()?;
    }
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        work()?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[TIMES / 2])
}

/// Memory in MiB.
#[derive(Debug)]
struct Weight {
    /// Of every process that is neither a container's nor there to look.
    resident: f64,
    anonymous: f64,
    available: f64,
}

/// Not the engine: containers, and the programs that look.
const OTHERS: [&str; 7] = ["sleep", "sh", "busybox", "grep", "nc", "true", "ash"];

impl Weight {
    fn of(text: &str) -> Self {
        let mut weight = Self { resident: 0.0, anonymous: 0.0, available: 0.0 };
        let mut counts = false;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [head, value, ..] = words[..] else { continue };
            let mebibytes = value.parse::<f64>().unwrap_or(0.0) / 1024.0;
            match head.rsplit_once("status:").map_or(head, |(_, name)| name) {
                "Name:" => counts = !OTHERS.contains(&value),
                "VmRSS:" if counts => weight.resident += mebibytes,
                "RssAnon:" if counts => weight.anonymous += mebibytes,
                "MemAvailable:" => weight.available = mebibytes,
                _ => {}
            }
        }
        weight
    }
}
