//! Requests that almost make sense. Whatever comes, the connection answers, and never with 500:
//! that would be an error of ours.

use bytes::Bytes;

use crate::rig::Rig;

/// A request, its parts between tabs: method, target, body.
const REQUESTS: &[&str] = &[
    "GET\t/containers/json?all=1&limit=2&filters={\"status\":[\"exited\"],\"label\":{\"a=b\":true}}\t",
    "GET\t/v1.41/containers/json?before=x&size=1\t",
    "POST\t/containers/create?name=web&platform=linux/amd64\t{\"Image\":\"busybox\",\"Cmd\":[\"sh\"],\
     \"Env\":[\"A=b\"],\"Labels\":{\"a\":\"b\"},\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{\"/v\":{}},\
     \"HostConfig\":{\"Binds\":[\"/a:/b:ro,rprivate\",\"v:/c:nocopy\"],\"PortBindings\":{\"80/tcp\":\
     [{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}]},\"RestartPolicy\":{\"Name\":\"on-failure\",\
     \"MaximumRetryCount\":3},\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1.5m\"}},\
     \"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2}],\"CpusetCpus\":\"0-1,3\",\"Memory\":9000000}}",
    "POST\t/containers/create\t{\"Image\":\"busybox\",\"Entrypoint\":\"sh\",\"StopSignal\":\"SIGRTMIN+3\",\
     \"Healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":1000000000},\"HostConfig\":{\"Mounts\":\
     [{\"Type\":\"tmpfs\",\"Target\":\"/t\",\"TmpfsOptions\":{\"SizeBytes\":1,\"Mode\":448}}],\"Tmpfs\":\
     {\"/x\":\"size=1m,mode=0700\"},\"ExtraHosts\":[\"a:1.2.3.4\"],\"Dns\":[\"1.1.1.1\"],\"Devices\":\
     [{\"PathOnHost\":\"/dev/null\",\"PathInContainer\":\"/dev/n\",\"CgroupPermissions\":\"rwm\"}],\
     \"DeviceCgroupRules\":[\"c 1:3 rwm\"],\"Sysctls\":{\"net.ipv4.ip_forward\":\"1\"},\"SecurityOpt\":\
     [\"no-new-privileges\",\"seccomp={\\\"defaultAction\\\":\\\"SCMP_ACT_ALLOW\\\"}\"]}}",
    "POST\t/containers/known/exec\t{\"Cmd\":[\"true\"],\"Env\":[\"A=b\"],\"DetachKeys\":\"ctrl-p,ctrl-q\"}",
    "POST\t/containers/known/update\t{\"Memory\":10000000,\"RestartPolicy\":{\"Name\":\"always\"}}",
    "POST\t/containers/known/kill?signal=SIGRTMAX-1\t",
    "POST\t/containers/known/rename?name=known\t",
    "POST\t/containers/known/resize?h=24&w=80\t",
    "GET\t/containers/known/logs?stdout=1&stderr=true&since=1.5&until=2001-02-03T04:05:06.7Z&tail=3\t",
    "GET\t/containers/known/top?ps_args=-ef\t",
    "HEAD\t/containers/known/archive?path=/etc/passwd\t",
    "POST\t/commit?container=known&repo=a/b&tag=c&changes=ENV%20A%3Db&pause=0\t{\"Labels\":{\"a\":\"b\"}}",
    "POST\t/containers/prune?filters={\"until\":[\"24h\"],\"label!\":[\"keep\"]}\t",
    "GET\t/images/json?all=1&digests=1&filters={\"reference\":[\"b*:latest\"],\"dangling\":[\"0\"]}\t",
    "GET\t/images/busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/json\t",
    "POST\t/images/busybox/tag?repo=localhost:5000/team/app&tag=v1.0\t",
    "POST\t/images/create?fromSrc=-&repo=x&tag=y&changes=HEALTHCHECK%20--interval=1s%20CMD%20true\
     &changes=LABEL%20a=%22b%20c%22&changes=CMD%20[%22a%22]\tnot an archive",
    "POST\t/images/load?quiet=1\tnot an archive",
    "GET\t/events?since=1&until=2&filters={\"type\":[\"container\"],\"event\":[\"health_status: healthy\"]}\t",
    "POST\t/volumes/create\t{\"Name\":\"v\",\"Driver\":\"local\",\"DriverOpts\":{\"type\":\"tmpfs\",\
     \"device\":\"tmpfs\",\"o\":\"size=1m\"},\"Labels\":{\"a\":\"b\"}}",
    "GET\t/volumes?filters={\"name\":[\"v\"],\"dangling\":[\"true\"]}\t",
    "GET\t/networks?filters={\"driver\":[\"bridge\"],\"scope\":[\"local\"]}\t",
    "POST\t/networks/create\t{\"Name\":\"n\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.0.0.0/24\"}]}}",
];

#[test]
fn requests_that_almost_make_sense_are_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(async {
        let rig = Rig::with_busybox().await;
        let config = serde_json::json!({"Image": "busybox", "Cmd": ["sh"]});
        rig.create("known", config).await;
        rig
    });
    fuzz::text_rounds(REQUESTS, |request| {
        let mut parts = request.splitn(3, '\t');
        let mut part = || parts.next().unwrap_or_default();
        let (method, target, body) = (part(), escaped(part()), part().to_owned());
        // What is followed or waited for has no end of its own.
        let endless =
            ["follow", "events", "attach", "wait"].iter().any(|word| target.contains(word));
        if http::Method::from_bytes(method.as_bytes()).is_err() || endless {
            return;
        }
        let answer = runtime.block_on(rig.send(method, &target, Bytes::from(body)));
        assert_ne!(answer.status, 500, "{}", String::from_utf8_lossy(&answer.body));
    });
}

/// A target as a client may write it; it begins with a slash.
fn escaped(target: &str) -> String {
    let mut text = String::from("/");
    for byte in target.trim_start_matches('/').bytes() {
        match byte {
            b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => {
                text.push(char::from(byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}
