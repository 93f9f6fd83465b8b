//! Devices and how fast they may be used, both ways.

use engine::config::{DeviceMapping, DeviceRequest, ThrottleDevice, WeightDevice};
use engine_api::host_config as api;

pub(super) fn mappings_from_api(
    devices: Option<Vec<api::DeviceMapping>>,
) -> Option<Vec<DeviceMapping>> {
    let device = |d: api::DeviceMapping| DeviceMapping {
        path_on_host: d.path_on_host,
        path_in_container: d.path_in_container,
        cgroup_permissions: d.cgroup_permissions,
    };
    Some(devices?.into_iter().map(device).collect())
}

pub(super) fn mappings_to_api(
    devices: Option<&[DeviceMapping]>,
) -> Option<Vec<api::DeviceMapping>> {
    let device = |d: &DeviceMapping| api::DeviceMapping {
        path_on_host: d.path_on_host.clone(),
        path_in_container: d.path_in_container.clone(),
        cgroup_permissions: d.cgroup_permissions.clone(),
    };
    Some(devices?.iter().map(device).collect())
}

pub(super) fn requests_from_api(
    requests: Option<Vec<api::DeviceRequest>>,
) -> Option<Vec<DeviceRequest>> {
    let request = |r: api::DeviceRequest| DeviceRequest {
        driver: r.driver,
        count: r.count,
        device_ids: r.device_ids,
        capabilities: r.capabilities,
        options: r.options.unwrap_or_default(),
    };
    Some(requests?.into_iter().map(request).collect())
}

pub(super) fn requests_to_api(
    requests: Option<&[DeviceRequest]>,
) -> Option<Vec<api::DeviceRequest>> {
    let request = |r: &DeviceRequest| api::DeviceRequest {
        driver: r.driver.clone(),
        count: r.count,
        device_ids: r.device_ids.clone(),
        capabilities: r.capabilities.clone(),
        options: Some(r.options.clone()),
    };
    Some(requests?.iter().map(request).collect())
}

pub(super) fn weights_from_api(
    devices: Option<Vec<api::WeightDevice>>,
) -> Option<Vec<WeightDevice>> {
    let device = |d: api::WeightDevice| WeightDevice { path: d.path, weight: d.weight };
    Some(devices?.into_iter().map(device).collect())
}

pub(super) fn weights_to_api(devices: Option<&[WeightDevice]>) -> Option<Vec<api::WeightDevice>> {
    let device = |d: &WeightDevice| api::WeightDevice { path: d.path.clone(), weight: d.weight };
    Some(devices?.iter().map(device).collect())
}

pub(super) fn throttles_from_api(
    devices: Option<Vec<api::ThrottleDevice>>,
) -> Option<Vec<ThrottleDevice>> {
    let device = |d: api::ThrottleDevice| ThrottleDevice { path: d.path, rate: d.rate };
    Some(devices?.into_iter().map(device).collect())
}

pub(super) fn throttles_to_api(
    devices: Option<&[ThrottleDevice]>,
) -> Option<Vec<api::ThrottleDevice>> {
    let device = |d: &ThrottleDevice| api::ThrottleDevice { path: d.path.clone(), rate: d.rate };
    Some(devices?.iter().map(device).collect())
}
