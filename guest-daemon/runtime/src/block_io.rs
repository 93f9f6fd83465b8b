//! Limits of block devices, in the words of version 2 of control groups.

use std::io;
use std::os::unix::fs::MetadataExt;

use engine::ports::{Cgroup, Throttled};
use rustix::fs::{major, minor};

/// The files of a group and what is to be written to them. `NotFound` names a device that is not
/// there.
pub(crate) fn settings(limits: &Cgroup) -> io::Result<Vec<(&'static str, String)>> {
    let mut settings = Vec::new();
    for device in &limits.device_weights {
        let value = format!("{} {}", numbers(&device.path)?, weight(device.weight));
        settings.push(("io.weight", value));
    }
    for throttle in &limits.throttles {
        let what = match throttle.what {
            Throttled::BytesRead => "rbps",
            Throttled::BytesWritten => "wbps",
            Throttled::Reads => "riops",
            Throttled::Writes => "wiops",
        };
        let rate = if throttle.rate == 0 { "max".to_owned() } else { throttle.rate.to_string() };
        settings.push(("io.max", format!("{} {what}={rate}", numbers(&throttle.path)?)));
    }
    Ok(settings)
}

/// From 10 to 1000 in Docker's words to 1 to 10000 in the kernel's.
pub(crate) fn weight(docker: u16) -> u32 {
    1 + (u32::from(docker.clamp(10, 1000)) - 10) * 9999 / 990
}

fn numbers(path: &str) -> io::Result<String> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let text = format!("stat {path}: {}", crate::program::reason(errno(&error)));
        io::Error::new(error.kind(), text)
    })?;
    Ok(format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev())))
}

fn errno(error: &io::Error) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use engine::ports::{DeviceWeight, Throttle};

    use super::*;

    #[test]
    fn devices_are_named_by_number() {
        let limits = Cgroup {
            device_weights: vec![DeviceWeight { path: "/dev/null".into(), weight: 1000 }],
            throttles: vec![Throttle {
                path: "/dev/zero".into(),
                what: Throttled::BytesWritten,
                rate: 1024,
            }],
            ..Cgroup::default()
        };
        let expected = [("io.weight", "1:3 10000".into()), ("io.max", "1:5 wbps=1024".into())];
        assert_eq!(settings(&limits).unwrap(), expected);
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let throttle = Throttle { path: "/dev/nosuch".into(), what: Throttled::Reads, rate: 1 };
        let limits = Cgroup { throttles: vec![throttle], ..Cgroup::default() };
        let error = settings(&limits).unwrap_err();
        assert_eq!(error.to_string(), "stat /dev/nosuch: no such file or directory");
    }
}
