//! What the engine answers to calls that cannot be carried out: the status and the words.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use super::Topic;
use crate::engine::Engine;

const RUNNING: &str = "wrong-running";
const CREATED: &str = "wrong-created";

/// Method, path and body; `RUNNING` and `CREATED` are the names of two containers.
const CALLS: &[(&str, &str, &str)] = &[
    // Names.
    ("GET", "/containers/absent/json", ""),
    ("POST", "/containers/absent/start", ""),
    ("DELETE", "/containers/absent", ""),
    ("GET", "/containers/absent/logs?stdout=1", ""),
    ("POST", "/containers/absent/exec", r#"{"Cmd":["true"]}"#),
    ("POST", "/containers/absent/wait", ""),
    ("GET", "/images/absent/json", ""),
    ("GET", "/images/absent:1.0/history", ""),
    ("DELETE", "/images/absent", ""),
    ("GET", "/images/UPPER/json", ""),
    ("POST", "/images/absent/tag?repo=a&tag=b", ""),
    ("POST", "/images/busybox/tag?repo=UPPER&tag=b", ""),
    ("POST", "/images/busybox/tag?repo=ok&tag=-", ""),
    ("GET", "/networks/absent", ""),
    ("DELETE", "/networks/absent", ""),
    ("GET", "/volumes/absent", ""),
    ("DELETE", "/volumes/absent", ""),
    ("GET", "/exec/absent/json", ""),
    ("POST", "/exec/absent/start", "{}"),
    ("GET", "/nowhere", ""),
    ("PUT", "/containers/json", ""),
    ("GET", "/v1.99/info", ""),
    ("GET", "/v1.10/info", ""),
    // Creating.
    ("POST", "/containers/create", ""),
    ("POST", "/containers/create", "{"),
    ("POST", "/containers/create", "[]"),
    ("POST", "/containers/create", "{}"),
    ("POST", "/containers/create", r#"{"Image":"busybox"} trailing"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","Env":5}"#),
    ("POST", "/containers/create", r#"{"Image":"absent"}"#),
    ("POST", "/containers/create", r#"{"Image":"UPPER"}"#),
    ("POST", "/containers/create?name=_a", r#"{"Image":"busybox"}"#),
    ("POST", "/containers/create?name=RUNNING", r#"{"Image":"busybox"}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","Env":["=x"]}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","WorkingDir":"relative"}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","StopSignal":"NONE"}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","Hostname":"a b"}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","ExposedPorts":{"x/tcp":{}}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Memory":1000}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Memory":8388608,"MemorySwap":4194304}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"MemorySwap":8388608}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"NanoCpus":-1}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"NanoCpus":99000000000}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"NanoCpus":1000000,"CpuQuota":5000}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"CpusetCpus":"99"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"CpusetCpus":"x"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"ShmSize":-1}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"OomScoreAdj":2000}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"BlkioWeight":5}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Binds":["a"]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Binds":["/a:b"]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Binds":["/a:/b:zz"]}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Binds":["/a:/b","/c:/b"]}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Binds":["a b:/b"]}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Binds":["/absent/path:/b"],"Mounts":[{"Type":"bind","Source":"/absent/path","Target":"/c"}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"odd","Target":"/c"}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"image","Target":"/c"}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"image","Source":"absent","Target":"/c"}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"image","Source":"busybox","Target":"/c","ImageOptions":{"Subpath":"../etc"}}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"image","Source":"busybox","Target":"/c","VolumeOptions":{}}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"tmpfs","Source":"/x","Target":"/c"}]}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Tmpfs":{"relative":""}}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"PortBindings":{"80/abc":[{}]}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"RestartPolicy":{"Name":"often"}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":3}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"NetworkMode":"container:absent"}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","Hostname":"h","HostConfig":{"NetworkMode":"container:RUNNING"}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"NetworkMode":"host","PortBindings":{"80/tcp":[{"HostPort":"1"}]}}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"IpcMode":"odd"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"PidMode":"odd"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"UTSMode":"odd"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"CgroupnsMode":"odd"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"UsernsMode":"odd"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"CapAdd":["ODD"]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"SecurityOpt":["odd"]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"SecurityOpt":["odd=1"]}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"SecurityOpt":["seccomp={"]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Ulimits":[{"Name":"odd","Soft":1,"Hard":1}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"Ulimits":[{"Name":"nofile","Soft":2,"Hard":1}]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"odd"}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"json-file","Config":{"odd":"1"}}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"json-file","Config":{"max-size":"x"}}}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Runtime":"odd"}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"StorageOpt":{"size":"1G"}}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Isolation":"hyperv"}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"ConsoleSize":[1]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"ExtraHosts":["a"]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Dns":["odd"]}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"VolumesFrom":["absent"]}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","HostConfig":{"VolumeDriver":"odd","Binds":["named:/a"]}}"#,
    ),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"Links":["absent:a"]}}"#),
    ("POST", "/containers/create", r#"{"Image":"busybox","HostConfig":{"GroupAdd":[""]}}"#),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","Healthcheck":{"Test":["CMD","true"],"Interval":1}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","Healthcheck":{"Test":["CMD","true"],"Retries":-1}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","NetworkingConfig":{"EndpointsConfig":{"absent":{}}}}"#,
    ),
    (
        "POST",
        "/containers/create",
        r#"{"Image":"busybox","NetworkingConfig":{"EndpointsConfig":{"bridge":{"IPAMConfig":{"IPv4Address":"1.2.3.4"}}}}}"#,
    ),
    ("POST", "/containers/create?platform=odd/odd", r#"{"Image":"busybox"}"#),
    ("POST", "/containers/create?platform=linux/arm64", r#"{"Image":"busybox"}"#),
    // Acting on containers.
    ("POST", "/containers/CREATED/kill", ""),
    ("POST", "/containers/RUNNING/kill?signal=NONE", ""),
    ("POST", "/containers/RUNNING/kill?signal=999", ""),
    ("POST", "/containers/CREATED/stop", ""),
    ("POST", "/containers/RUNNING/start", ""),
    ("POST", "/containers/CREATED/exec", r#"{"Cmd":["true"]}"#),
    ("POST", "/containers/RUNNING/exec", "{}"),
    ("POST", "/containers/RUNNING/exec", ""),
    ("POST", "/containers/RUNNING/exec", r#"{"Cmd":["true"],"DetachKeys":"odd"}"#),
    ("POST", "/containers/RUNNING/exec", r#"{"Cmd":["true"],"User":"odd"}"#),
    ("POST", "/containers/RUNNING/exec", r#"{"Cmd":["true"],"User":"root:odd"}"#),
    ("POST", "/containers/RUNNING/rename", ""),
    ("POST", "/containers/RUNNING/rename?name=RUNNING", ""),
    ("POST", "/containers/RUNNING/rename?name=CREATED", ""),
    ("POST", "/containers/RUNNING/rename?name=a%20b", ""),
    ("POST", "/containers/RUNNING/resize?h=x&w=1", ""),
    ("POST", "/containers/CREATED/resize?h=1&w=1", ""),
    ("POST", "/containers/RUNNING/wait?condition=odd", ""),
    ("DELETE", "/containers/RUNNING", ""),
    ("DELETE", "/containers/RUNNING?link=1", ""),
    ("DELETE", "/containers/absent?link=1", ""),
    ("DELETE", "/containers/RUNNING/absent?link=1", ""),
    ("GET", "/containers/RUNNING/logs", ""),
    ("GET", "/containers/RUNNING/logs?stdout=1&since=x", ""),
    ("GET", "/containers/RUNNING/logs?stdout=1&tail=x", ""),
    ("GET", "/containers/CREATED/top", ""),
    ("GET", "/containers/RUNNING/top?ps_args=-ef%20--sort=odd", ""),
    ("GET", "/containers/RUNNING/top?ps_args=-o%20cmd", ""),
    ("POST", "/containers/CREATED/attach?stream=1&detachKeys=odd", ""),
    ("POST", "/containers/CREATED/pause", ""),
    ("POST", "/containers/RUNNING/unpause", ""),
    ("POST", "/containers/RUNNING/update", r#"{"Memory":1000}"#),
    ("POST", "/containers/RUNNING/update", "{"),
    ("POST", "/containers/RUNNING/update", r#"{"RestartPolicy":{"Name":"often"}}"#),
    ("GET", "/containers/RUNNING/archive", ""),
    ("GET", "/containers/RUNNING/archive?path=/absent", ""),
    ("PUT", "/containers/RUNNING/archive?path=/absent", ""),
    ("PUT", "/containers/RUNNING/archive?path=/etc/passwd", ""),
    ("GET", "/containers/absent/stats", ""),
    ("GET", "/containers/absent/changes", ""),
    ("POST", "/commit?container=absent", ""),
    ("POST", "/commit?container=CREATED&repo=UPPER", ""),
    ("POST", "/commit?container=CREATED&changes=ODD%20x", ""),
    // Lists and their filters.
    ("GET", "/containers/json?limit=x", ""),
    ("GET", "/containers/json?filters=x", ""),
    ("GET", "/containers/json?filters={%22odd%22:[%22a%22]}", ""),
    ("GET", "/containers/json?filters={%22status%22:[%22odd%22]}", ""),
    ("GET", "/containers/json?filters={%22exited%22:[%22odd%22]}", ""),
    ("GET", "/containers/json?filters={%22health%22:[%22odd%22]}", ""),
    ("GET", "/containers/json?filters={%22is-task%22:[%22odd%22]}", ""),
    ("GET", "/containers/json?filters={%22before%22:[%22absent%22]}", ""),
    ("GET", "/containers/json?filters={%22publish%22:[%22x%22]}", ""),
    ("GET", "/images/json?filters={%22odd%22:[%22a%22]}", ""),
    ("GET", "/images/json?filters={%22dangling%22:[%22odd%22]}", ""),
    ("GET", "/images/json?filters={%22before%22:[%22absent%22]}", ""),
    ("GET", "/volumes?filters={%22odd%22:[%22a%22]}", ""),
    ("GET", "/networks?filters={%22odd%22:[%22a%22]}", ""),
    ("GET", "/networks?filters={%22type%22:[%22odd%22]}", ""),
    ("GET", "/events?filters={%22odd%22:[%22a%22]}&until=1", ""),
    ("GET", "/events?since=x&until=1", ""),
    ("GET", "/events?since=2&until=1", ""),
    ("POST", "/containers/prune?filters={%22odd%22:[%22a%22]}", ""),
    ("POST", "/containers/prune?filters={%22until%22:[%22odd%22]}", ""),
    ("POST", "/images/prune?filters={%22odd%22:[%22a%22]}", ""),
    ("POST", "/volumes/prune?filters={%22odd%22:[%22a%22]}", ""),
    // Images, volumes, networks.
    ("POST", "/images/create?fromSrc=-&repo=UPPER", ""),
    ("POST", "/images/create?fromSrc=-&repo=a&changes=ODD%20x", ""),
    ("POST", "/images/load", "nonsense"),
    ("GET", "/images/get?names=absent", ""),
    ("GET", "/images/absent/get", ""),
    ("POST", "/volumes/create", r#"{"Name":"a b"}"#),
    ("POST", "/volumes/create", r#"{"Name":"a"}"#),
    ("POST", "/volumes/create", r#"{"Name":"ok","Driver":"odd"}"#),
    ("POST", "/volumes/create", r#"{"Name":"ok","DriverOpts":{"odd":"1"}}"#),
    ("POST", "/volumes/create", "{"),
    ("DELETE", "/networks/bridge", ""),
    ("POST", "/networks/create", r#"{"Name":"bridge"}"#),
    ("POST", "/networks/create", r#"{"Name":""}"#),
    ("POST", "/networks/create", r#"{"Name":"n","Driver":"odd"}"#),
    // Swarm, which is not there.
    ("GET", "/swarm", ""),
    ("GET", "/nodes", ""),
    ("GET", "/services", ""),
    ("GET", "/tasks", ""),
    ("GET", "/secrets", ""),
    ("GET", "/configs", ""),
    ("GET", "/plugins/absent/json", ""),
];

pub(super) fn topics() -> Vec<Topic> {
    CALLS
        .iter()
        .map(|(method, path, body)| {
            let name = format!("wrong:{method}:{path}:{}", body.replace(' ', "_"));
            Topic::new(name, move |engine| answer(engine, method, path, body))
        })
        .collect()
}

/// Makes the two containers, once for each engine.
fn prepare(engine: &Engine) -> Result<()> {
    static READY: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    if !ready.contains(&engine.name) {
        engine.text(&["run", "--detach", "--name", RUNNING, "busybox", "sleep", "1000"])?;
        engine.text(&["create", "--name", CREATED, "busybox", "true"])?;
        ready.push(engine.name);
    }
    Ok(())
}

fn answer(engine: &Engine, method: &str, path: &str, body: &str) -> Result<Value> {
    prepare(engine)?;
    let named = |text: &str| text.replace("RUNNING", RUNNING).replace("CREATED", CREATED);
    let method = Method::from_bytes(method.as_bytes())?;
    let answer = engine.request_text(method, &named(path), named(body))?;
    let said = answer.json().unwrap_or_else(|_| json!(String::from_utf8_lossy(&answer.body)));
    Ok(json!({"status": answer.status, "type": answer.content_type, "said": said}))
}
