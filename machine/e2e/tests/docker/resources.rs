//! What a container may use, and what it does use.

use anyhow::{Result, ensure};
use machine_e2e::{Check, Run, eventually};
use serde_json::Value;

use crate::fixture::Fixture;
use crate::listener::Listener;

pub(crate) const CHECKS: &[Check<Fixture>] = &[
    ("a_paused_container_does_nothing_until_it_goes_on", pause),
    ("a_paused_container_can_be_stopped", stop_paused),
    ("limits_change_while_it_runs", update),
    ("stats_tell_what_is_used", stats),
    ("a_process_that_takes_too_much_memory_is_killed_and_told", out_of_memory),
    ("devices_are_given_as_far_as_was_asked", devices),
    ("devices_can_be_slowed_down", slow_devices),
    ("an_init_reaps_and_hands_on_signals", init),
    ("shared_memory_is_shared_with_those_who_ask", shared_memory),
    ("a_control_group_is_made_where_it_was_asked_for", cgroup_parent),
    ("mounts_are_as_they_were_asked_for", mounts),
    ("binds_propagate_mounts_when_asked", propagation),
    ("what_cannot_be_had_is_refused_in_dockers_words", refused),
    ("limits_of_the_process_are_set", process_limits),
];

fn pause(on: &Fixture) -> Result<()> {
    let count = "n=0; while :; do n=$((n+1)); echo $n >/n; done";
    on.text(&["run", "-d", "--name", "still", "busybox", "sh", "-c", count])?;
    on.text(&["pause", "still"])?;
    ensure!(on.inspect("still")?["State"]["Status"] == "paused");
    on.docker(["exec", "still", "true"])
        .run()?
        .code(1)?
        .says("is paused, unpause the container")?;
    on.docker(["start", "still"]).run()?.code(1)?.says("cannot start a paused container")?;
    on.docker(["rm", "still"]).run()?.code(1)?.says("is paused and must be unpaused first")?;
    on.docker(["pause", "still"]).run()?.code(1)?.says("is already paused")?;
    let used = |on: &Fixture| -> Result<String> {
        let text = on.text(&["stats", "--no-stream", "--format", "{{.CPUPerc}}", "still"])?;
        Ok(text.trim().to_owned())
    };
    let standing = used(on)?;
    ensure!(standing == "0.00%", "{standing}");
    on.text(&["unpause", "still"])?;
    on.text(&["exec", "still", "cat", "/n"])?;
    let going = used(on)?;
    ensure!(going != "0.00%", "{going}");
    on.text(&["rm", "-f", "still"]).map(drop)
}

fn stop_paused(on: &Fixture) -> Result<()> {
    let script = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
    on.text(&["run", "-d", "--name", "deaf", "busybox", "sh", "-c", script])?;
    on.text(&["pause", "deaf"])?;
    on.text(&["stop", "-t", "60", "deaf"])?;
    let state = &on.inspect("deaf")?["State"];
    ensure!(state["ExitCode"] == 7 && state["Paused"] == false, "{state}");
    on.text(&["rm", "deaf"]).map(drop)
}

fn update(on: &Fixture) -> Result<()> {
    on.text(&["run", "-d", "--name", "limits", "-m", "64m", "busybox", "sleep", "1000"])?;
    let words = [
        "update",
        "--memory",
        "32m",
        "--memory-swap",
        "48m",
        "--pids-limit",
        "50",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "2",
        "limits",
    ];
    on.text(&words)?;
    let files = "cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max cpu.weight";
    let seen = on.text(&["exec", "limits", "sh", "-c", files])?;
    ensure!(seen == "33554432\n16777216\n50\n50000 100000\n1", "{seen}");
    on.text(&["update", "--pids-limit", "-1", "limits"])?;
    ensure!(on.text(&["exec", "limits", "cat", "/sys/fs/cgroup/pids.max"])? == "max");
    let refused = on.docker(["update", "--memory", "1g", "limits"]).run()?;
    refused.code(1)?.says("Memory limit should be smaller than already set memoryswap limit")?;
    on.text(&["restart", "-t", "0", "limits"])?;
    let seen = on.text(&["exec", "limits", "cat", "/sys/fs/cgroup/memory.max"])?;
    ensure!(seen == "33554432", "a limit stays: {seen}");
    on.text(&["rm", "-f", "limits"]).map(drop)
}

fn stats(on: &Fixture) -> Result<()> {
    let script = "ping -c 1 $(ip route | head -1 | cut -d' ' -f3); while :; do :; done";
    on.text(&["run", "-d", "--name", "busy", "-m", "50m", "busybox", "sh", "-c", script])?;
    on.text(&["create", "--name", "idle", "busybox"])?;
    let all = on.text(&["stats", "--no-stream", "--all", "--format", "json"])?;
    let of = |name: &str| -> Result<Value> {
        let found = all.lines().find(|line| line.contains(&format!("\"Name\":\"{name}\"")));
        Ok(serde_json::from_str(found.unwrap_or("null"))?)
    };
    let (busy, idle) = (of("busy")?, of("idle")?);
    let usage = busy["MemUsage"].as_str().unwrap_or_default();
    ensure!(usage.ends_with(" / 50MiB") && !usage.starts_with("0B"), "{all}");
    ensure!(busy["CPUPerc"] != "0.00%" && busy["PIDs"] == "1", "{all}");
    ensure!(busy["NetIO"] != "0B / 0B" && idle["NetIO"] == "0B / 0B", "{all}");
    ensure!(idle["MemUsage"] == "0B / 0B" && idle["CPUPerc"] == "0.00%", "{all}");
    on.text(&["rm", "-f", "busy", "idle"]).map(drop)
}

fn out_of_memory(on: &Fixture) -> Result<()> {
    let script = "dd if=/dev/zero of=/dev/null bs=64M count=1; echo $? >/code; sleep 1000";
    let limit = ["-m", "16m", "--memory-swap", "16m"];
    let words = [&["run", "-d", "--name", "hungry"], &limit[..], &["busybox", "sh", "-c", script]];
    let listener = Listener::start(on, "container=hungry", "{{.Action}}")?;
    on.text(&words.concat())?;
    eventually("the container is told to have run out of memory", || {
        Ok(on.inspect("hungry")?["State"]["OOMKilled"] == true)
    })?;
    listener.told_up_to("oom")?;
    let state = &on.inspect("hungry")?["State"];
    ensure!(state["Status"] == "running", "only the process is killed: {state}");
    on.text(&["rm", "-f", "hungry"])?;
    let alone = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
    let words = [&["run", "--name", "eaten"], &limit[..], &["busybox"], &alone[..]].concat();
    let listener = Listener::start(on, "container=eaten", "{{.Action}}")?;
    on.docker(words).run()?.code(137)?;
    ensure!(on.inspect("eaten")?["State"]["OOMKilled"] == true);
    listener.told_up_to("oom")?;
    on.text(&["rm", "eaten"]).map(drop)
}

fn devices(on: &Fixture) -> Result<()> {
    let script = "head -c 3 /dev/nothing | wc -c; (echo x >/dev/nothing) 2>&1";
    let seen = on.inside(&["--device", "/dev/zero:/dev/nothing:r"], &["sh", "-c", script])?;
    // Zero may be written to by everybody.
    ensure!(seen == "3", "{seen}");
    let script = "head -c 4 /dev/disk | wc -c; (: >>/dev/disk) 2>&1";
    let words = ["run", "--rm", "--device", "/dev/vda:/dev/disk:r", "busybox", "sh", "-c", script];
    let ran = on.docker(words).run()?;
    ensure!(ran.stdout.starts_with("4\n"), "{ran}");
    ensure!(ran.stdout.contains("Operation not permitted"), "{ran}");
    let script = "for n in 252 253 254; do mknod /d$n b $n 0; head -c 1 /d$n >/dev/null && echo opened; done";
    let rule = ["--device-cgroup-rule", "b *:0 r"];
    ensure!(on.inside(&rule, &["sh", "-c", &format!("{script}; true")])?.contains("opened"));
    let without = on.inside(&[], &["sh", "-c", &format!("{script}; true")])?;
    ensure!(without.is_empty(), "{without}");
    let missing = on.docker(["run", "--rm", "--device", "/dev/nosuch", "busybox"]).run()?;
    missing
        .says("error gathering device information while adding custom device \"/dev/nosuch\"")?;
    let gpus = on.docker(["run", "--rm", "--gpus", "all", "busybox"]).run()?;
    gpus.code(125)?.says("could not select device driver \"\" with capabilities: [[gpu]]").map(drop)
}

fn slow_devices(on: &Fixture) -> Result<()> {
    let flags = [
        "--device-write-bps",
        "/dev/vda:1mb",
        "--device-read-iops",
        "/dev/vda:100",
        "--blkio-weight",
        "500",
    ];
    let seen = on.inside(&flags, &["cat", "/sys/fs/cgroup/io.max", "/sys/fs/cgroup/io.weight"])?;
    ensure!(seen.contains("wbps=1048576") && seen.contains("riops=100"), "{seen}");
    ensure!(seen.contains("default 4950"), "{seen}");
    let missing = on.docker(["run", "--rm", "--device-read-bps", "/dev/nosuch:1mb", "busybox"]);
    { missing }.run()?.says("stat /dev/nosuch: no such file or directory").map(drop)
}

fn init(on: &Fixture) -> Result<()> {
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done";
    on.text(&["run", "-d", "--init", "--name", "inited", "busybox", "sh", "-c", script])?;
    let first = on.text(&["exec", "inited", "cat", "/proc/1/cmdline"])?;
    ensure!(first.starts_with("/sbin/docker-init\0--\0sh\0"), "{first:?}");
    // An orphan is left to the init, which does not leave it a zombie.
    on.text(&["exec", "inited", "sh", "-c", "(true &) ; true"])?;
    eventually("no zombie is left", || {
        let states =
            on.text(&["exec", "inited", "sh", "-c", "grep -h State: /proc/[0-9]*/status"])?;
        Ok(!states.contains("zombie"))
    })?;
    on.text(&["stop", "-t", "60", "inited"])?;
    ensure!(on.inspect("inited")?["State"]["ExitCode"] == 9);
    on.text(&["rm", "inited"])?;
    let ran = on.docker(["run", "--rm", "--init", "busybox", "sh", "-c", "exit 42"]).run()?;
    ran.code(42)?;
    on.docker(["run", "--rm", "--init", "busybox", "nosuch"]).run()?.code(127).map(drop)
}

fn shared_memory(on: &Fixture) -> Result<()> {
    let words = ["run", "-d", "--name", "donor", "--ipc", "shareable", "busybox", "sleep", "1000"];
    on.text(&words)?;
    on.text(&["exec", "donor", "sh", "-c", "echo given >/dev/shm/x"])?;
    let seen = on.inside(&["--ipc", "container:donor"], &["cat", "/dev/shm/x"])?;
    ensure!(seen == "given", "{seen}");
    on.text(&["rm", "-f", "donor"])?;
    on.text(&["run", "-d", "--name", "donor", "busybox", "sleep", "1000"])?;
    let refused = on.docker(["run", "--rm", "--ipc", "container:donor", "busybox"]).run()?;
    refused.says("non-shareable IPC (hint: use IpcMode:shareable for the donor container)")?;
    on.text(&["rm", "-f", "donor"])?;
    let none = on.inside(&["--ipc", "none"], &["sh", "-c", "ls -d /dev/shm || echo none"])?;
    ensure!(none == "none", "{none}");
    let sized = on.inside(&["--shm-size", "1m"], &["df", "/dev/shm"])?;
    ensure!(sized.contains(" 1024 "), "{sized}");
    Ok(())
}

fn cgroup_parent(on: &Fixture) -> Result<()> {
    let flags = ["--cgroup-parent", "mine/deep", "--cgroupns", "host"];
    let seen = on.inside(&flags, &["cat", "/proc/self/cgroup"])?;
    ensure!(seen.starts_with("0::/mine/deep/"), "{seen}");
    let usual = on.inside(&["--cgroupns", "host"], &["cat", "/proc/self/cgroup"])?;
    ensure!(usual.starts_with("0::/docker/"), "{usual}");
    let script = "mkdir /sys/fs/cgroup/own && echo made";
    let writable = ["--security-opt", "writable-cgroups=true"];
    ensure!(on.inside(&writable, &["sh", "-c", script])? == "made");
    Ok(())
}

fn mounts(on: &Fixture) -> Result<()> {
    let volume = "type=volume,source=parts,target=/v";
    on.inside(
        &["--mount", volume],
        &["sh", "-c", "mkdir -p /v/in/deep; echo found >/v/in/deep/x"],
    )?;
    let part = format!("{volume},volume-subpath=in/deep");
    ensure!(on.inside(&["--mount", &part], &["cat", "/v/x"])? == "found");
    // A link in the volume leads nowhere but into the volume.
    on.inside(&["--mount", volume], &["sh", "-c", "rm -rf /v/in; ln -s /etc /v/in"])?;
    let link = format!("{volume},volume-subpath=in");
    ensure!(on.docker(["run", "--rm", "--mount", &link, "busybox", "true"]).run()?.code != 0);
    on.text(&["volume", "rm", "parts"])?;

    let labelled = "type=volume,source=told,target=/v,volume-label=a=b";
    on.inside(&["--mount", labelled], &["true"])?;
    ensure!(on.text(&["volume", "inspect", "-f", "{{.Labels.a}}", "told"])? == "b");
    on.text(&["volume", "rm", "told"])?;

    // What is mounted beneath is read-only too, unless that was said.
    let script =
        "touch /run/in/dev/x 2>/dev/null && rm /run/in/dev/x && echo written || echo refused";
    let beneath = |options: &str| {
        let mount = format!("type=bind,source=/,target=/run/in,readonly{options}");
        on.inside(&["--mount", &mount], &["sh", "-c", script])
    };
    ensure!(beneath("")? == "refused");
    ensure!(beneath(",bind-recursive=writable")? == "written");
    let tmpfs = "type=tmpfs,target=/t,tmpfs-size=64k,tmpfs-mode=0700";
    let seen = on.inside(&["--mount", tmpfs], &["sh", "-c", "grep ' /t ' /proc/mounts"])?;
    ensure!(seen.contains("size=64k") && seen.contains("mode=700"), "{seen}");
    Ok(())
}

fn propagation(on: &Fixture) -> Result<()> {
    let guest = |script: &str| {
        on.inside(&["--privileged", "-v", "/tmp/spread:/spread:rshared"], &["sh", "-c", script])
    };
    guest("mkdir -p /spread/in && mount -t tmpfs inner /spread/in && echo hello >/spread/in/file")?;
    // It is the guest's now.
    let reads = |mode: &str| {
        let bind = format!("/tmp/spread:/spread{mode}");
        on.inside(&["-v", &bind], &["sh", "-c", "cat /spread/in/file"])
    };
    ensure!(reads("")? == "hello" && reads(":rslave")? == "hello");
    guest("umount /spread/in")?;
    // What holds the engine's own folder must not keep the mounts of other containers.
    on.text(&["create", "--name", "host", "-v", "/:/host", "busybox"])?;
    ensure!(on.inspect("host")?["Mounts"][0]["Propagation"] == "rslave");
    on.text(&["rm", "host"]).map(drop)
}

fn refused(on: &Fixture) -> Result<()> {
    let cases: [(&[&str], &str); 7] = [
        (&["--storage-opt", "size=1g"], "--storage-opt is supported only for overlay over xfs"),
        (&["-v", "/:/x:rprivate"], "must use either propagation mode"),
        (&["--mount", "type=image,source=nobody,target=/x"], "No such image: nobody"),
        (&["--runtime", "kata"], "unknown or invalid runtime name: kata"),
        (&["--isolation", "hyperv"], "invalid isolation"),
        (&["--volume-driver", "nfs", "-v", "x1:/x"], "plugin \"nfs\" not found"),
        (&["--pid", "container:nobody"], "No such container: nobody"),
    ];
    for (flags, text) in cases {
        // The command takes every 404 for a missing image.
        let words = [&["run", "--rm", "--pull", "never"], flags, &["busybox", "true"]].concat();
        let ran = on.docker(words).run()?;
        ensure!(ran.code >= 125, "{ran}");
        ran.says(text)?;
    }
    let words = ["create", "--name", "warned", "--oom-kill-disable", "--memory-swappiness", "5"];
    let ran = on.docker([&words[..], &["-m", "64m", "busybox"]].concat()).run()?;
    ran.says("Memory swappiness discarded")?.says("OomKillDisable discarded")?;
    on.text(&["rm", "warned"]).map(drop)
}

fn process_limits(on: &Fixture) -> Result<()> {
    let flags = [
        "--ulimit",
        "nofile=77:88",
        "--oom-score-adj",
        "200",
        "--sysctl",
        "net.core.somaxconn=99",
        "--add-host",
        "there:host-gateway",
        "--group-add",
        "extra",
        "--user",
        "app",
    ];
    let script =
        "ulimit -n; ulimit -H -n; cat /proc/self/oom_score_adj /proc/sys/net/core/somaxconn
        id -G; grep -c there /etc/hosts";
    let seen = on.inside(&flags, &["sh", "-c", script])?;
    ensure!(seen == "77\n88\n200\n99\n1000 2000\n1", "{seen}");
    Ok(())
}
