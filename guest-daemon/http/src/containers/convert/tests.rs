//! Containers on the wire: nulls, empties and absences are part of the contract.

use std::collections::{BTreeMap, BTreeSet};

use engine::config::{ContainerConfig, HostConfig, NetworkAttachment};
use engine::containers::{Container, State, Status};
use engine::ports::Published;
use serde_json::{Value, json};

use super::*;
use crate::extract::decode;

const SECOND: i128 = 1_000_000_000;
const CREATED: i128 = 1_700_000_000 * SECOND;

fn container(status: Status) -> Container {
    Container {
        id: "c".repeat(64),
        name: "web".to_owned(),
        created: CREATED,
        path: "httpd".to_owned(),
        args: ["-f", "a b"].map(str::to_owned).to_vec(),
        state: State { status, ..State::default() },
        image_id: "sha256:1".to_owned(),
        config: ContainerConfig { image: "busybox".to_owned(), ..ContainerConfig::default() },
        host: HostConfig { network_mode: "bridge".to_owned(), ..HostConfig::default() },
        networks: BTreeMap::from([("bridge".to_owned(), NetworkAttachment::default())]),
        ..Container::default()
    }
}

fn running() -> Container {
    let mut container = container(Status::Running);
    container.state.started_at = Some(CREATED + SECOND);
    container.state.pid = 7;
    container.sandbox_id = "5".repeat(64);
    container.config.exposed_ports = BTreeSet::from(["80/tcp".to_owned(), "443/tcp".to_owned()]);
    container.published = vec![Published {
        container_port: 80,
        protocol: "tcp".to_owned(),
        host_ip: "127.0.0.1".to_owned(),
        host_port: 8080,
    }];
    container.networks = BTreeMap::from([(
        "bridge".to_owned(),
        NetworkAttachment {
            ip_address: "172.17.0.2".to_owned(),
            gateway: "172.17.0.1".to_owned(),
            ip_prefix_len: 16,
            mac_address: "02:42:ac:11:00:02".to_owned(),
            endpoint_id: "e".repeat(64),
            ..NetworkAttachment::default()
        },
    )]);
    container
}

#[test]
fn names_of_links_stand_beside_its_own_sorted() {
    let links = ["front/web".to_owned(), "y/x".to_owned()];
    let names = summary::to_api(&container(Status::Running), "busybox", &links, CREATED).names;
    assert_eq!(names, ["/front/web", "/web", "/y/x"]);
}

fn inspected(container: &Container) -> Value {
    serde_json::to_value(inspect::to_api(container)).unwrap()
}

fn listed(container: &Container, now: i128) -> Value {
    serde_json::to_value(summary::to_api(container, &container.config.image, &[], now)).unwrap()
}

#[test]
fn nothing_is_null_empty_or_absent_as_dockerd_has_it() {
    let document = inspected(&container(Status::Created));
    assert_eq!(document["ExecIDs"], Value::Null);
    assert_eq!(document["Mounts"], json!([]));
    assert_eq!(document["State"].get("Health"), None);
    assert_eq!(document["State"]["StartedAt"], "0001-01-01T00:00:00Z");
    assert_eq!(document.get("SizeRw"), None);
    assert_eq!(document["NetworkSettings"]["Ports"], json!({}));
    assert_eq!(document["NetworkSettings"]["SecondaryIPAddresses"], Value::Null);
    assert_eq!(document["Config"]["Env"], Value::Null);
    assert_eq!(document["Config"]["Cmd"], Value::Null);
    assert_eq!(document["Config"]["Volumes"], Value::Null);
    assert_eq!(document["Config"]["Labels"], json!({}));
    for absent in ["ExposedPorts", "Healthcheck", "StopSignal", "StopTimeout", "Shell"] {
        assert_eq!(document["Config"].get(absent), None, "{absent}");
    }
}

#[test]
fn host_config_of_nothing_is_complete() {
    assert_eq!(
        inspected(&container(Status::Created))["HostConfig"],
        serde_json::from_str::<Value>(
            r#"{
            "Binds": null, "ContainerIDFile": "", "LogConfig": { "Type": "json-file", "Config": {} },
            "NetworkMode": "bridge", "PortBindings": null,
            "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "AutoRemove": false,
            "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [0, 0], "CapAdd": null,
            "CapDrop": null, "CgroupnsMode": "private", "Dns": null, "DnsOptions": null,
            "DnsSearch": null, "ExtraHosts": null, "GroupAdd": null, "IpcMode": "private",
            "Cgroup": "", "Links": null, "OomScoreAdj": 0, "PidMode": "", "Privileged": false,
            "PublishAllPorts": false, "ReadonlyRootfs": false, "SecurityOpt": null, "UTSMode": "",
            "UsernsMode": "", "ShmSize": 67108864, "Runtime": "runc", "Isolation": "",
            "CpuShares": 0, "Memory": 0, "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0,
            "BlkioWeightDevice": null, "BlkioDeviceReadBps": null, "BlkioDeviceWriteBps": null,
            "BlkioDeviceReadIOps": null, "BlkioDeviceWriteIOps": null, "CpuPeriod": 0, "CpuQuota": 0,
            "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "",
            "Devices": null, "DeviceCgroupRules": null, "DeviceRequests": null,
            "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": null,
            "OomKillDisable": null, "PidsLimit": null, "Ulimits": null, "CpuCount": 0,
            "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0, "MaskedPaths": null,
            "ReadonlyPaths": null
        }"#
        )
        .unwrap()
    );
}

#[test]
fn what_was_asked_for_empty_is_shown_empty() {
    let asked = json!({
        "Devices": [], "Ulimits": [], "Dns": [], "BlkioWeightDevice": [], "BlkioDeviceReadBps": [],
        "PortBindings": {"80/tcp": null, "81/tcp": []}, "KernelMemoryTCP": 10,
        "Mounts": [
            {"Type": "bind", "Source": "/a", "Target": "/b", "Consistency": "cached",
             "BindOptions": {}},
            {"Type": "volume", "Target": "/v", "VolumeOptions": {"DriverConfig": {}}},
            {"Type": "image", "Source": "i", "Target": "/i", "ImageOptions": {"Subpath": "s"}},
            {"Type": "tmpfs", "Target": "/t"}
        ]
    });
    let host = host_config::from_api(decode(&asked).unwrap()).unwrap();
    let shown = serde_json::to_value(host_config::to_api(&host)).unwrap();
    for (name, value) in asked.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let foreign = json!({"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b",
        "ImageOptions": {"Subpath": "x"}}]});
    assert!(host_config::from_api(decode(&foreign).unwrap()).is_err());
}

#[test]
fn what_was_chosen_at_a_network_is_shown() {
    let asked = json!({"EndpointsConfig": {"bridge": {
        "IPAMConfig": {"LinkLocalIPs": ["169.254.3.4"]}, "Links": ["a:b"], "GwPriority": 5,
        "DriverOpts": {"x": "y"}
    }}});
    let networks = networks::from_api(decode(&asked).unwrap(), "", "").unwrap();
    let shown = serde_json::to_value(networks::to_api(&networks)).unwrap();
    for (name, value) in asked["EndpointsConfig"]["bridge"].as_object().unwrap() {
        assert_eq!(&shown["bridge"][name], value, "{name}");
    }
    let fixed = json!({"EndpointsConfig": {"bridge": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}}});
    assert!(networks::from_api(decode(&fixed).unwrap(), "", "").is_err());
}

#[test]
fn the_default_bridge_is_repeated_at_the_top() {
    let settings = inspected(&running())["NetworkSettings"].clone();
    assert_eq!(settings["IPAddress"], "172.17.0.2");
    assert_eq!(settings["IPPrefixLen"], 16);
    assert_eq!(settings["Networks"]["bridge"]["IPAddress"], "172.17.0.2");
    assert_eq!(settings["Networks"]["bridge"]["IPAMConfig"], Value::Null);
    assert_eq!(settings["Networks"]["bridge"]["DNSNames"], Value::Null);
}

#[test]
fn ports_are_strings_in_inspect_and_numbers_in_lists() {
    let container = running();
    assert_eq!(
        inspected(&container)["NetworkSettings"]["Ports"],
        json!({ "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }], "443/tcp": null })
    );
    assert_eq!(
        listed(&container, CREATED)["Ports"],
        json!([
            { "IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp" },
            { "PrivatePort": 443, "Type": "tcp" },
        ])
    );
}

#[test]
fn a_line_of_the_list_is_what_ps_prints() {
    let line = listed(&running(), CREATED + 4 * SECOND);
    assert_eq!(line["Names"], json!(["/web"]));
    assert_eq!(line["Command"], "httpd -f 'a b'");
    assert_eq!(line["Created"], 1_700_000_000);
    assert_eq!(line["Status"], "Up 3 seconds");
    assert_eq!(line["State"], "running");
    assert_eq!(line["HostConfig"], json!({ "NetworkMode": "bridge" }));
    assert_eq!(line["Mounts"], json!([]));
    assert_eq!(line.get("SizeRw"), None);
}

#[test]
fn every_state_has_its_words() {
    let status = |status, code, started: Option<i128>, finished: Option<i128>| {
        let mut container = container(status);
        container.state.exit_code = code;
        container.state.started_at = started.map(|s| s * SECOND);
        container.state.finished_at = finished.map(|s| s * SECOND);
        state::spoken(&container, 1000 * SECOND)
    };
    assert_eq!(status(Status::Created, 0, None, None), "Created");
    assert_eq!(status(Status::Running, 0, Some(999), None), "Up 1 second");
    assert_eq!(status(Status::Paused, 0, Some(880), None), "Up 2 minutes (Paused)");
    assert_eq!(status(Status::Exited, 137, Some(1), Some(940)), "Exited (137) About a minute ago");
    assert_eq!(status(Status::Restarting, 1, Some(1), Some(995)), "Restarting (1) 5 seconds ago");
    assert_eq!(status(Status::Removing, 0, None, None), "Removal In Progress");
    assert_eq!(status(Status::Dead, 0, None, None), "Dead");
}

#[test]
fn a_configuration_survives_the_way_in_and_out() {
    let sent = json!({
        "Image": "busybox", "Cmd": ["sleep", "1"], "Entrypoint": ["sh"], "Env": ["A=b"],
        "ExposedPorts": { "80/tcp": {} }, "Labels": { "x": "y" }, "StopSignal": "SIGINT",
        "StopTimeout": 3, "User": "1:2", "Volumes": { "/v": {} }, "WorkingDir": "/w", "Tty": true,
        "Healthcheck": { "Test": ["CMD", "true"], "Interval": 1_000_000_000 },
    });
    let wire =
        serde_json::to_value(config::to_api(&config::from_api(decode(&sent).unwrap()))).unwrap();
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&wire[name], value, "{name}");
    }
}

#[test]
fn a_host_configuration_survives_the_way_in_and_out() {
    let sent = json!({
        "Binds": ["v1:/v"], "NetworkMode": "host", "Memory": 1024, "NanoCpus": 500_000_000,
        "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }] },
        "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 }, "AutoRemove": true,
        "CapAdd": ["NET_ADMIN"], "Dns": ["1.1.1.1"], "Tmpfs": { "/t": "size=1m" },
        "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }], "PidsLimit": 9, "Init": true,
        "ConsoleSize": [24, 80], "MemorySwappiness": 0, "ShmSize": 1,
        "Mounts": [
            { "Type": "tmpfs", "Target": "/x", "TmpfsOptions": { "SizeBytes": 5 } },
            { "Type": "volume", "Source": "v", "Target": "/y", "ReadOnly": true,
              "VolumeOptions": { "NoCopy": true, "Subpath": "s", "Labels": { "a": "b" } } },
            { "Type": "bind", "Source": "/s", "Target": "/z",
              "BindOptions": { "NonRecursive": true, "ReadOnlyForceRecursive": true } },
        ],
        "StorageOpt": { "size": "1G" },
        "BlkioWeightDevice": [{ "Path": "/dev/vda", "Weight": 10 }],
        "BlkioDeviceReadBps": [{ "Path": "/dev/vda", "Rate": 1 }],
        "BlkioDeviceWriteIOps": [{ "Path": "/dev/vda", "Rate": 2 }],
        "CpuPercent": 7, "IOMaximumIOps": 8,
        "DeviceRequests": [{ "Driver": "", "Count": -1, "DeviceIDs": null,
                             "Capabilities": [["gpu"]], "Options": {} }],
        "Devices": [{ "PathOnHost": "/dev/a", "PathInContainer": "/dev/b",
                      "CgroupPermissions": "rwm" }],
    });
    let host = host_config::from_api(decode(&sent).unwrap()).unwrap();
    let wire = serde_json::to_value(host_config::to_api(&host)).unwrap();
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&wire[name], value, "{name}");
    }
}

#[test]
fn what_the_engine_cannot_do_is_refused() {
    let sent = json!({ "Cgroup": "container:x" });
    let error = host_config::from_api(decode(&sent).unwrap()).unwrap_err();
    assert_eq!(error.status.as_u16(), 501);
}

#[test]
fn a_containers_own_mac_address_goes_to_its_network() {
    let none = serde_json::from_value(json!({})).unwrap();
    let networks = networks::from_api(none, "02:00:00:00:00:01", "bridge").unwrap();
    assert_eq!(networks["bridge"].mac_address, "02:00:00:00:00:01");
    let chosen: engine_api::container::NetworkingConfig =
        decode(&json!({ "EndpointsConfig": { "default": null } })).unwrap();
    let networks = networks::from_api(chosen, "02:00:00:00:00:01", "").unwrap();
    assert_eq!(networks["default"].mac_address, "02:00:00:00:00:01");
}

#[test]
fn a_chosen_address_is_refused_on_the_networks_there_are() {
    let chosen = decode(&json!({
        "EndpointsConfig": { "bridge": { "IPAMConfig": { "IPv4Address": "172.17.0.9" } } },
    }))
    .unwrap();
    let error = networks::from_api(chosen, "", "bridge").unwrap_err();
    assert_eq!(error.status.as_u16(), 400);
}
