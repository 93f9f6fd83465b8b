//! 1.50: an image's `Config` has no fields that only containers have, `/info` does not tell
//! about bridge-netfilter, and an image is removed for a platform.

use serde_json::{Map, Value, json};

use crate::version::ApiVersion;

const SINCE: ApiVersion = ApiVersion::new(1, 50);

/// Clients up to 1.51 read fields that are absent when empty in the image's own form.
pub(super) fn fill_image_config(version: ApiVersion, document: &mut Value) {
    let Some(config) = document.get_mut("Config").and_then(Value::as_object_mut) else { return };
    add_missing(
        config,
        json!({
            "Cmd": null, "Entrypoint": null, "Env": null, "Labels": null, "OnBuild": null,
            "User": "", "Volumes": null, "WorkingDir": "",
        }),
    );
    if version < SINCE {
        add_missing(
            config,
            json!({
                "AttachStderr": false, "AttachStdin": false, "AttachStdout": false,
                "Domainname": "", "Hostname": "", "Image": "", "OpenStdin": false,
                "StdinOnce": false, "Tty": false,
            }),
        );
    }
}

/// Old clients warn when these are not true; published ports here do not depend on them.
pub(super) fn add_bridge_netfilter(version: ApiVersion, document: &mut Value) {
    if version < SINCE
        && let Some(info) = document.as_object_mut()
    {
        add_missing(info, json!({ "BridgeNfIptables": true, "BridgeNfIp6tables": true }));
    }
}

fn add_missing(fields: &mut Map<String, Value>, defaults: Value) {
    if let Value::Object(defaults) = defaults {
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
    }
}

pub(crate) fn knows_remove_platforms(version: ApiVersion) -> bool {
    version >= SINCE
}
