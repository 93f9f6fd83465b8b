//! The shims, each from both sides of its version.

use serde_json::json;

use super::*;

const OLD_CLIENT: ApiVersion = ApiVersion::new(1, 41);
const NEW_CLIENT: ApiVersion = ApiVersion::new(1, 51);

#[test]
fn multiplexed_streams_are_named_since_1_42() {
    assert_eq!(stream_media_type(NEW_CLIENT, false), "application/vnd.docker.multiplexed-stream");
    assert_eq!(
        stream_media_type(ApiVersion::new(1, 42), false),
        "application/vnd.docker.multiplexed-stream"
    );
    assert_eq!(stream_media_type(OLD_CLIENT, false), "application/vnd.docker.raw-stream");
    assert_eq!(stream_media_type(NEW_CLIENT, true), "application/vnd.docker.raw-stream");
}

#[test]
fn an_image_has_a_virtual_size_before_1_44_only() {
    let mut document = json!({ "Size": 7, "RepoTags": ["a:1"], "RepoDigests": [] });
    image_summary(NEW_CLIENT, &mut document);
    assert_eq!(document, json!({ "Size": 7, "RepoTags": ["a:1"], "RepoDigests": [] }));
    image_summary(OLD_CLIENT, &mut document);
    let old = json!({ "Size": 7, "VirtualSize": 7, "RepoTags": ["a:1"], "RepoDigests": null });
    assert_eq!(document, old);
}

#[test]
fn an_image_config_has_container_fields_before_1_50_only() {
    let mut document = json!({ "Config": { "Cmd": ["sh"] } });
    image_inspect(NEW_CLIENT, &mut document);
    assert_eq!(document["Config"]["Cmd"], json!(["sh"]));
    assert_eq!(document["Config"]["WorkingDir"], "");
    assert_eq!(document["Config"].get("Hostname"), None);
    image_inspect(OLD_CLIENT, &mut document);
    assert_eq!(document["Config"]["Hostname"], "");
}

#[test]
fn commits_were_expected_before_1_49_only() {
    let mut document = json!({ "RuncCommit": { "ID": "N/A" } });
    info(NEW_CLIENT, &mut document);
    assert_eq!(document["RuncCommit"], json!({ "ID": "N/A" }));
    info(OLD_CLIENT, &mut document);
    assert_eq!(document["RuncCommit"], json!({ "ID": "N/A", "Expected": "N/A" }));
}

fn created(version: ApiVersion, host: Value) -> Result<CreateSurroundings, HttpError> {
    let mut config = ContainerConfig::default();
    let mut around: CreateSurroundings = serde_json::from_value(host).unwrap();
    create(version, &mut config, &mut around)?;
    Ok(around)
}

#[test]
fn what_an_old_version_did_not_know_is_passed_over() {
    let asked = json!({ "HostConfig": {
        "AutoRemove": true,
        "Annotations": { "a": "b" },
        "Mounts": [{ "Type": "bind", "VolumeOptions": { "NoCopy": true } }],
    }});
    let host = created(ApiVersion::new(1, 24), asked.clone()).unwrap().host_config.unwrap();
    assert!(!host.auto_remove && host.annotations.is_none());
    assert_eq!(host.ipc_mode, "shareable");
    assert!(host.mounts.unwrap()[0].volume_options.is_none());
    let host = created(NEW_CLIENT, asked).unwrap().host_config.unwrap();
    assert!(host.auto_remove && host.annotations.is_some());
    assert_eq!(host.ipc_mode, "");
    assert!(host.mounts.unwrap()[0].volume_options.is_some());
}

#[test]
fn what_an_old_version_would_misunderstand_is_refused() {
    let subpath = json!({ "HostConfig": { "Mounts": [
        { "Type": "volume", "VolumeOptions": { "Subpath": "x" } },
    ]}});
    let error = created(ApiVersion::new(1, 44), subpath.clone()).unwrap_err();
    assert_eq!(error.message, "VolumeOptions.Subpath needs API v1.45 or newer");
    assert!(created(NEW_CLIENT, subpath).is_ok());
    let two = json!({ "NetworkingConfig": { "EndpointsConfig": { "a": {}, "b": {} } } });
    let error = created(ApiVersion::new(1, 43), two.clone()).unwrap_err();
    assert_eq!(error.message, "Container cannot be created with multiple network endpoints: a, b");
    assert!(created(NEW_CLIENT, two).is_ok());
}

#[test]
fn the_containers_own_mac_address_is_warned_of_since_1_44() {
    let mut config =
        ContainerConfig { mac_address: "02:42:ac:11:00:02".into(), ..Default::default() };
    let mut warned =
        |version| create(version, &mut config, &mut CreateSurroundings::default()).unwrap().len();
    assert_eq!((warned(OLD_CLIENT), warned(NEW_CLIENT)), (0, 1));
}

#[test]
fn signals_and_sizes_are_heard_since_1_42() {
    assert_eq!(stop_signal(OLD_CLIENT, Some("HUP")), None);
    assert_eq!(stop_signal(NEW_CLIENT, Some("HUP")), Some("HUP"));
    assert_eq!(console_size(OLD_CLIENT, Some([1, 2])), None);
    assert_eq!(console_size(NEW_CLIENT, Some([1, 2])), Some([1, 2]));
    assert!(websocket_stream(OLD_CLIENT, false) && !websocket_stream(NEW_CLIENT, false));
}

#[test]
fn an_old_client_waits_without_a_head_and_without_conditions() {
    let old = wait_manners(ApiVersion::new(1, 29));
    assert!(!old.head_at_once && !old.knows_conditions && !old.tells_removal_errors);
    assert!(wait_manners(NEW_CLIENT).head_at_once);
}

#[test]
fn an_image_that_is_made_is_news_since_1_46() {
    assert!(!knows_event(OLD_CLIENT, "image", "create"));
    assert!(knows_event(OLD_CLIENT, "image", "tag") && knows_event(NEW_CLIENT, "image", "create"));
}
