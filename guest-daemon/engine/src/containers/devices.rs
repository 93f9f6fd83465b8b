//! `--device`, `--device-cgroup-rule`, `--gpus` and limits by device: what their words mean.

use crate::config::{HostConfig, ThrottleDevice};
use crate::error::{Error, Result};
use crate::ports::{
    Device, DeviceAccess, DeviceKind, DeviceRule, DeviceWeight, Throttle, Throttled,
};

pub(super) fn check(host: &HostConfig) -> Result<()> {
    devices(host)?;
    rules(host).map(drop)
}

pub(super) fn devices(host: &HostConfig) -> Result<Vec<Device>> {
    host.devices
        .iter()
        .flatten()
        // A privileged container has it in its place already.
        .filter(|device| !host.privileged || device.path_on_host != device.path_in_container)
        .map(|device| {
            let destination = match device.path_in_container.as_str() {
                "" => &device.path_on_host,
                path => path,
            };
            if !device.path_on_host.starts_with('/') || !destination.starts_with('/') {
                let text = format!("{destination} is not an absolute path");
                return Err(Error::invalid(text));
            }
            let words = match device.cgroup_permissions.as_str() {
                "" => "rwm",
                words => words,
            };
            let access = access(words)
                .ok_or_else(|| Error::invalid(format!("invalid device permissions: {words}")))?;
            let (source, destination) = (device.path_on_host.clone(), destination.to_owned());
            Ok(Device { source, destination, access })
        })
        .collect()
}

pub(super) fn rules(host: &HostConfig) -> Result<Vec<DeviceRule>> {
    let bad = |rule: &str| Error::invalid(format!("invalid device cgroup rule format: '{rule}'"));
    let rules = host.device_cgroup_rules.iter().flatten();
    rules.map(|text| rule(text).ok_or_else(|| bad(text))).collect()
}

/// `c 1:* rwm`
fn rule(text: &str) -> Option<DeviceRule> {
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, permissions] = words.as_slice() else { return None };
    let kind = match *kind {
        "a" => DeviceKind::Any,
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Character,
        _ => return None,
    };
    let number = |text: &str| match text {
        "*" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    let (major, minor) = numbers.split_once(':')?;
    let (major, minor) = (number(major)?, number(minor)?);
    Some(DeviceRule { kind, major, minor, access: access(permissions)? })
}

/// One to three of the letters.
fn access(letters: &str) -> Option<DeviceAccess> {
    let known = letters.bytes().all(|letter| b"rwm".contains(&letter));
    let has = |letter| letters.contains(letter);
    (known && (1..=3).contains(&letters.len())).then(|| DeviceAccess {
        read: has('r'),
        write: has('w'),
        make: has('m'),
    })
}

/// There is no driver that could give any.
pub(super) fn check_requests(host: &HostConfig) -> Result<()> {
    match host.device_requests.iter().flatten().next() {
        None => Ok(()),
        Some(request) => {
            let sets = request.capabilities.as_deref().unwrap_or_default();
            let sets: Vec<String> = sets.iter().map(|set| format!("[{}]", set.join(" "))).collect();
            Err(Error::invalid(format!(
                "could not select device driver {:?} with capabilities: [{}]",
                request.driver,
                sets.join(" ")
            )))
        }
    }
}

pub(super) fn weights(host: &HostConfig) -> Vec<DeviceWeight> {
    let weight = |device: &crate::config::WeightDevice| DeviceWeight {
        path: device.path.clone(),
        weight: device.weight,
    };
    host.blkio_weight_device.iter().flatten().map(weight).collect()
}

pub(super) fn throttles(host: &HostConfig) -> Vec<Throttle> {
    let all: [(&Option<Vec<ThrottleDevice>>, Throttled); 4] = [
        (&host.blkio_device_read_bps, Throttled::BytesRead),
        (&host.blkio_device_write_bps, Throttled::BytesWritten),
        (&host.blkio_device_read_iops, Throttled::Reads),
        (&host.blkio_device_write_iops, Throttled::Writes),
    ];
    all.into_iter()
        .flat_map(|(devices, what)| devices.iter().flatten().map(move |device| (device, what)))
        .map(|(device, what)| Throttle { path: device.path.clone(), what, rate: device.rate })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeviceMapping, DeviceRequest};

    #[test]
    fn rules_are_understood_or_refused_in_dockers_words() {
        let host = |rule: &str| HostConfig {
            device_cgroup_rules: Some(vec![rule.to_owned()]),
            ..HostConfig::default()
        };
        let all = rules(&host("c 10:* rm")).unwrap();
        let access = DeviceAccess { read: true, write: false, make: true };
        let kind = DeviceKind::Character;
        assert_eq!(all, [DeviceRule { kind, major: Some(10), minor: None, access }]);
        rules(&host("a *:* rwm")).unwrap();
        for bad in ["", "c 10:1", "x 1:1 r", "c 1 r", "c 1:-1 r", "c 1:1 rwmr", "c 1:1 z"] {
            let error = rules(&host(bad)).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid device cgroup rule format: '{bad}'"));
        }
    }

    #[test]
    fn a_device_is_where_it_is_in_the_guest_unless_said_otherwise() {
        let mapping = |inside: &str, permissions: &str| DeviceMapping {
            path_on_host: "/dev/fuse".into(),
            path_in_container: inside.into(),
            cgroup_permissions: permissions.into(),
        };
        let host = |mapping| HostConfig { devices: Some(vec![mapping]), ..HostConfig::default() };
        let all = devices(&host(mapping("", ""))).unwrap();
        assert_eq!(all[0].destination, "/dev/fuse");
        assert!(all[0].access.make);
        assert!(devices(&host(mapping("/dev/x", "rx"))).is_err());
        assert!(devices(&host(mapping("x", "r"))).is_err());
        let privileged = HostConfig { privileged: true, ..host(mapping("/dev/fuse", "rwm")) };
        assert!(devices(&privileged).unwrap().is_empty());
    }

    #[test]
    fn no_driver_gives_what_gpus_asks_for() {
        let request = DeviceRequest {
            count: -1,
            capabilities: Some(vec![vec!["gpu".into()]]),
            ..DeviceRequest::default()
        };
        let host = HostConfig { device_requests: Some(vec![request]), ..HostConfig::default() };
        assert_eq!(
            check_requests(&host).unwrap_err().to_string(),
            "could not select device driver \"\" with capabilities: [[gpu]]"
        );
    }
}
