//! Ours and dockerd, side by side: the same work in turn, in one run.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use machine_e2e::api::{self, Api, Place};
use machine_e2e::{Machine, Run};

use crate::reference::Reference;
use crate::{Table, busybox};

/// How often each is measured, after a few times that do not count.
const TIMES: usize = 25;
/// How often one engine does it before the other has its turn. Nobody runs two in turn, and each
/// throws the other's work out of the processor's caches.
const TURN: usize = 5;
/// Containers that run while `docker ps` lists them: an emulated dockerd needs more than a second
/// to start each, and 18 MiB.
const RUNNING: u32 = 50;
/// How many there are then, with those that only were created.
const CONTAINERS: u32 = 200;

pub(crate) fn compare(table: &mut Table) -> Result<()> {
    let machine = Machine::create("compared", &["--memory", "2048"])?;
    let reference = Reference::start_like(&machine)?;
    measure(&sides(&machine, &reference)?, table)
}

/// Ours and dockerd, both over TCP and mutual TLS with the same certificates.
pub(crate) fn sides<'a>(machine: &'a Machine, reference: &'a Reference) -> Result<[Side<'a>; 2]> {
    let host = format!("tcp://127.0.0.1:{}", reference.port);
    let ours = Side {
        place: machine.api()?,
        docker: Box::new(|words| machine.docker(words.iter().copied())),
        weights: Box::new(|| machine.ssh([WEIGHTS]).run()?.text()),
    };
    let theirs = Side {
        place: reference.place.clone(),
        docker: Box::new(move |words| {
            let mut docker = machine.docker(words.iter().copied());
            docker.env("DOCKER_HOST", &host);
            docker
        }),
        weights: Box::new(|| reference.weights()),
    };
    Ok([ours, theirs])
}

/// Both values, and ours as a share of dockerd's.
pub(crate) fn ratio(unit: &str, [ours, theirs]: [f64; 2]) -> String {
    format!("{ours:.1} {unit}, dockerd {theirs:.1} {unit}: {:.2}", ours / theirs)
}

/// As `scripts/reference-init` does it there.
const WEIGHTS: &str = "sync; for process in /proc/[0-9]*; do grep -h \
    -e ^Name: -e ^VmRSS -e ^VmHWM -e ^RssAnon -e ^Pss: $process/status $process/smaps_rollup; done \
    2>/dev/null; grep -e Mem /proc/meminfo; df -k /var/lib/docker | tail -n 1";

/// Makes a docker command for these words.
type Docker<'a> = Box<dyn Fn(&[&str]) -> Command + 'a>;

/// An engine.
pub(crate) struct Side<'a> {
    place: Place,
    pub(crate) docker: Docker<'a>,
    weights: Box<dyn Fn() -> Result<String> + 'a>,
}

impl Side<'_> {
    fn docker(&self, words: &[&str]) -> Result<()> {
        (self.docker)(words).run()?.ok()
    }

    pub(crate) fn weight(&self) -> Result<Weight> {
        Ok(Weight::of(&(self.weights)()?))
    }
}

fn measure(sides: &[Side<'_>; 2], table: &mut Table) -> Result<()> {
    let image = busybox()?;
    for side in sides {
        (side.docker)(&["load"]).run_with(&image)?.ok()?;
    }
    let idle = [sides[0].weight()?, sides[1].weight()?];
    let mut row = |name: &str, unit: &str, both| table.row(name, ratio(unit, both));
    let share = idle.each_ref().map(|weight| weight.share);
    row("the engine's processes when idle, what they share counted once", "MiB", share);
    row("the same, what they share counted for each", "MiB", idle.each_ref().map(|w| w.resident));
    row("of these not shared with files", "MiB", idle.each_ref().map(|w| w.anonymous));
    let mut apis = [Api::connect(&sides[0].place)?, Api::connect(&sides[1].place)?];
    let life = medians(|side| apis[side].whole_life())?;
    row("create + start + wait + rm over the API, p50", "ms", life);
    for side in sides {
        side.docker(&["run", "-d", "--name", "runs", "busybox", "sleep", "100000"])?;
    }
    let exec = medians(|side| api::exec(&mut apis[side], &sides[side].place, "runs"))?;
    row("exec over the API, p50", "ms", exec);
    let run = medians(|side| sides[side].docker(&["run", "--rm", "busybox", "true"]))?;
    row("docker run --rm busybox true, p50", "ms", run);
    let before = [sides[0].weight()?, sides[1].weight()?];
    for side in sides {
        for _ in 0..RUNNING {
            side.docker(&["run", "-d", "busybox", "sleep", "100000"])?;
        }
    }
    let after = [sides[0].weight()?, sides[1].weight()?];
    let each = |more: &dyn Fn(usize) -> f64| [0, 1].map(|side| more(side) / f64::from(RUNNING));
    let engine = each(&|side| after[side].share - before[side].share);
    row("the engine's processes, for each running container", "MiB", engine);
    let guest = each(&|side| before[side].available - after[side].available);
    row("memory of the guest, for each running container, itself included", "MiB", guest);
    let ps = medians(|side| sides[side].docker(&["ps"]))?;
    row(&format!("docker ps, {} running containers, p50", RUNNING + 1), "ms", ps);
    for side in sides {
        for _ in RUNNING + 1..CONTAINERS {
            side.docker(&["create", "busybox", "true"])?;
        }
    }
    let ps = medians(|side| sides[side].docker(&["ps", "--all"]))?;
    row(&format!("docker ps --all, {CONTAINERS} containers, p50"), "ms", ps);
    Ok(())
}

/// Both do the work in turn, so that whatever else happens on this machine happens to both.
fn medians(mut work: impl FnMut(usize) -> Result<()>) -> Result<[f64; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..=TIMES / TURN {
        for (side, times) in times.iter_mut().enumerate() {
            for _ in 0..TURN {
                let begun = Instant::now();
                work(side).with_context(|| if side == 0 { "our engine" } else { "dockerd" })?;
                // The first turn does not count.
                if turn > 0 {
                    times.push(begun.elapsed().as_secs_f64() * 1000.0);
                }
            }
        }
    }
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[TIMES / 2]
    }))
}

/// In MiB.
#[derive(Debug, Default)]
pub(crate) struct Weight {
    /// Memory of every process that is neither a container's nor there to look.
    pub(crate) resident: f64,
    /// The same, memory of several processes counted in parts: the kernel's "Pss".
    share: f64,
    /// As the first, the most there ever was.
    pub(crate) peak: f64,
    /// What the file system with the images has used.
    pub(crate) disk: f64,
    anonymous: f64,
    available: f64,
}

/// Not the engine: containers, and the programs that look.
const OTHERS: [&str; 10] =
    ["sleep", "sh", "busybox", "grep", "nc", "true", "ash", "sync", "df", "tail"];

impl Weight {
    fn of(text: &str) -> Self {
        let mut weight = Self::default();
        let mut counts = false;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [head, value, ..] = words[..] else { continue };
            let mebibytes = value.parse::<f64>().unwrap_or(0.0) / 1024.0;
            match head {
                "Name:" => counts = !OTHERS.contains(&value),
                "VmHWM:" if counts => weight.peak += mebibytes,
                "VmRSS:" if counts => weight.resident += mebibytes,
                "RssAnon:" if counts => weight.anonymous += mebibytes,
                "Pss:" if counts => weight.share += mebibytes,
                "MemAvailable:" => weight.available = mebibytes,
                // A line of df: device, size, used, …
                device if device.starts_with('/') => {
                    weight.disk = words[2].parse::<f64>().unwrap_or(0.0) / 1024.0;
                }
                _ => {}
            }
        }
        weight
    }
}
