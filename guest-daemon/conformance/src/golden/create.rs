//! What inspect says of a container that was only created, for many ways to create one.

use anyhow::{Result, ensure};
use http::Method;
use serde_json::{Value, json};

use super::Topic;
use crate::engine::Engine;

/// Flags of `docker create`, by the name of the topic.
const FLAGS: &[(&str, &[&str])] = &[
    ("plain", &[]),
    ("terminal", &["-it", "--hostname", "h", "--domainname", "d.test"]),
    ("process", &["-e", "EMPTY=", "-w", "/tmp", "-u", "1000:1000", "--entrypoint", "cat"]),
    ("labels", &["-l", "a=b", "-l", "empty", "--stop-signal", "INT", "--stop-timeout", "3"]),
    ("ports", &["-p", "8080:80", "-p", "127.0.0.1::53/udp", "--expose", "9000-9002"]),
    (
        "mounts",
        &[
            "--mount",
            "type=bind,src=/etc,dst=/b,ro,bind-propagation=rprivate",
            "--mount",
            "type=volume,src=named-golden,dst=/v,volume-nocopy",
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700",
        ],
    ),
    ("tmpfs", &["--tmpfs", "/t:size=1m", "--read-only", "--shm-size", "1m"]),
    (
        "limits",
        &[
            "-m",
            "64m",
            "--memory-reservation",
            "32m",
            "--memory-swap",
            "128m",
            "--cpus",
            "0.5",
            "--cpu-shares",
            "512",
            "--cpuset-cpus",
            "0",
            "--pids-limit",
            "50",
            "--oom-score-adj",
            "10",
        ],
    ),
    (
        "quota",
        &[
            "--cpu-period",
            "50000",
            "--cpu-quota",
            "25000",
            "--ulimit",
            "nofile=100:200",
            "--ulimit",
            "core=0",
        ],
    ),
    (
        "security",
        &[
            "--cap-add",
            "NET_ADMIN",
            "--cap-drop",
            "all",
            "--security-opt",
            "no-new-privileges",
            "--security-opt",
            "seccomp=unconfined",
            "--group-add",
            "extra",
        ],
    ),
    ("privileged", &["--privileged"]),
    ("devices", &["--device", "/dev/null:/dev/other:r", "--device-cgroup-rule", "c 1:3 rwm"]),
    (
        "names",
        &[
            "--dns",
            "1.1.1.1",
            "--dns-search",
            "a.test",
            "--dns-option",
            "ndots:2",
            "--add-host",
            "a:1.2.3.4",
            "--add-host",
            "gw:host-gateway",
        ],
    ),
    ("restart", &["--restart", "on-failure:3", "--init", "--cgroup-parent", "/golden"]),
    (
        "health",
        &[
            "--health-cmd",
            "true",
            "--health-interval",
            "2s",
            "--health-timeout",
            "1s",
            "--health-retries",
            "4",
            "--health-start-period",
            "1s",
            "--health-start-interval",
            "1s",
        ],
    ),
    ("unhealthy", &["--no-healthcheck"]),
    ("log", &["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"]),
    ("nolog", &["--log-driver", "none"]),
    ("host", &["--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host"]),
    ("offline", &["--network", "none", "--ipc", "shareable", "--cgroupns", "private"]),
    ("address", &["--mac-address", "02:42:ac:11:00:77", "--sysctl", "net.ipv4.ip_forward=1"]),
    ("remove", &["--rm", "--publish-all"]),
];

/// Bodies that no docker command would send.
fn bodies() -> Vec<(&'static str, Value)> {
    vec![
        ("least", json!({"Image": "busybox"})),
        (
            "nulls",
            json!({"Image": "busybox", "Cmd": null, "Env": null, "Labels": null,
            "HostConfig": null, "NetworkingConfig": null}),
        ),
        (
            "empties",
            json!({"Image": "busybox", "Cmd": [], "Env": [], "Labels": {}, "Volumes": {},
            "HostConfig": {"Binds": [], "PortBindings": {}, "Devices": [], "LogConfig": {},
            "RestartPolicy": {"Name": ""}}, "NetworkingConfig": {"EndpointsConfig": {}}}),
        ),
        (
            // docker sends them in any order.
            "binds",
            json!({"Image": "busybox", "Volumes": {"/anonymous": {}},
            "HostConfig": {"Binds": ["/etc:/host:ro", "named-golden:/named"]}}),
        ),
        (
            "elsewhere",
            json!({"Image": "busybox", "HostConfig": {"VolumeDriver": "odd",
            "SecurityOpt": ["apparmor=x", "label=type:x"]}}),
        ),
        ("words", json!({"Image": "busybox", "Cmd": "echo hi", "Entrypoint": "sh"})),
        (
            "bridge",
            json!({"Image": "busybox", "HostConfig": {"NetworkMode": "bridge"},
            "NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}}),
        ),
        ("elaborate", json!({"Image": "elaborate:1"})),
        (
            "override",
            json!({"Image": "example.com/team/elaborate", "Cmd": ["true"], "User": "root",
            "Env": ["EMPTY=full", "MORE=1"], "Labels": {"of.image": "no"}}),
        ),
        (
            "defaults",
            json!({"Image": "busybox", "HostConfig": {"ShmSize": 0, "MemorySwappiness": -1,
            "Memory": 0, "PidsLimit": 0, "OomKillDisable": false, "CgroupnsMode": "",
            "IpcMode": "", "MaskedPaths": null, "ReadonlyPaths": []}}),
        ),
    ]
}

pub(super) fn topics() -> Vec<Topic> {
    let mut topics = Vec::new();
    for (name, flags) in FLAGS {
        let topic = format!("create:{name}");
        topics.push(Topic::new(topic, move |engine| {
            let container = format!("golden-{name}");
            let create = ["create", "--name", &container];
            let made =
                engine.run(&[&create, *flags, &["busybox", "sh", "-c", "exit 0"]].concat())?;
            let document = engine.get(&format!("/containers/{container}/json"));
            engine.run(&["rm", "--volumes", &container])?;
            Ok(json!({"code": made.code, "warnings": made.stderr, "container": document?}))
        }));
    }
    for (name, body) in bodies() {
        topics
            .push(Topic::new(format!("create:{name}"), move |engine| created(engine, name, &body)));
    }
    for version in ["1.24", "1.40", "1.43", "1.47"] {
        topics.push(Topic::new(format!("inspect:{version}"), move |engine| {
            let container = format!("golden-{version}");
            engine.text(&["create", "--name", &container, "-p", "80:80", "busybox"])?;
            let document = engine.get(&format!("/v{version}/containers/{container}/json"));
            engine.text(&["rm", &container])?;
            document
        }));
    }
    topics
}

fn created(engine: &Engine, name: &str, body: &Value) -> Result<Value> {
    let path = format!("/containers/create?name=golden-{name}");
    let created = engine.request(Method::POST, &path, Some(body))?;
    ensure!(created.status == 201, "{created:?}");
    let document = engine.get(&format!("/containers/golden-{name}/json"))?;
    engine.text(&["rm", "--volumes", &format!("golden-{name}")])?;
    Ok(json!({"answer": created.json()?, "container": document}))
}
