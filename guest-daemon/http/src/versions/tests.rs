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
    let mut document = json!({ "Size": 7 });
    image_summary(NEW_CLIENT, &mut document);
    assert_eq!(document, json!({ "Size": 7 }));
    image_summary(OLD_CLIENT, &mut document);
    assert_eq!(document, json!({ "Size": 7, "VirtualSize": 7 }));
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
