//! What a container's log options come to when it starts.

use std::path::PathBuf;

use engine_store::Layout;
use engine_store::logs::{LogEncoder, LogForm, Rotation};

use super::attributes::Subject;
use super::options::{boolean, name, option, unknown};
use super::{syslog, tag};
use crate::config::LogConfig;
use crate::error::{Error, Result};
use crate::ports::SyslogTarget;
use crate::sizes;

/// Where output goes besides to who is attached.
#[derive(Debug)]
pub(crate) struct LogPlan {
    /// What `docker logs` reads.
    pub file: Option<FilePlan>,
    pub remote: Option<RemotePlan>,
}

#[derive(Debug)]
pub(crate) struct FilePlan {
    pub encoder: LogEncoder,
    pub rotation: Rotation,
}

#[derive(Debug)]
pub(crate) struct RemotePlan {
    pub target: SyslogTarget,
    pub formatter: syslog::Formatter,
    /// Bytes that may wait to be sent.
    pub buffer: usize,
    /// What finds no room is dropped; otherwise the container waits.
    pub lossy: bool,
}

/// Output that a container may be ahead of the one who receives it.
const BLOCKING_BUFFER: usize = 64 * 1024;
const LOSSY_BUFFER: usize = 1_000_000;
/// Whatever was asked for, the guest's memory is not the place for it.
const LARGEST_BUFFER: usize = 64 << 20;

/// dockerd's defaults for the driver `local`, which is also the cache of the others.
const LOCAL: Rotation = Rotation { max_size: Some(20 * 1024 * 1024), max_files: 5, compress: true };

/// The file that `docker logs` reads, whatever the values of the options; `None` when there is
/// none.
pub(crate) fn place(config: &LogConfig, layout: &Layout, id: &str) -> Option<PathBuf> {
    match name(config) {
        "json-file" => Some(layout.container_log(id)),
        "local" => Some(layout.container_local_log(id)),
        "none" => None,
        _ if uncached(config) => None,
        _ => Some(layout.container_cached_log(id)),
    }
}

pub(crate) fn plan(config: &LogConfig, subject: &Subject<'_>) -> Result<LogPlan> {
    match name(config) {
        "none" => Ok(LogPlan { file: None, remote: None }),
        "json-file" => {
            let rotation = rotation(config, "", Rotation::default())?;
            let file = file(config, "", LogForm::Json, rotation, subject)?;
            Ok(LogPlan { file: Some(file), remote: None })
        }
        "local" => {
            let rotation = rotation(config, "", LOCAL)?;
            let file = file(config, "", LogForm::Compact, rotation, subject)?;
            Ok(LogPlan { file: Some(file), remote: None })
        }
        "syslog" => {
            let file = if uncached(config) {
                None
            } else {
                let rotation = rotation(config, "cache-", LOCAL)?;
                Some(file(config, "cache-", LogForm::Compact, rotation, subject)?)
            };
            Ok(LogPlan { file, remote: Some(remote(config, subject)?) })
        }
        "journald" => Err(Error::invalid("journald is not enabled on this host")),
        other => Err(unknown(other)),
    }
}

fn uncached(config: &LogConfig) -> bool {
    boolean(option(config, "cache-disabled")) == Some(true)
}

fn file(
    config: &LogConfig,
    prefix: &str,
    form: LogForm,
    rotation: Rotation,
    subject: &Subject<'_>,
) -> Result<FilePlan> {
    let attributes = subject.attributes(config, prefix)?;
    Ok(FilePlan { encoder: LogEncoder::new(form, &attributes), rotation })
}

fn rotation(config: &LogConfig, prefix: &str, default: Rotation) -> Result<Rotation> {
    let given = |name: &str| config.options.get(&format!("{prefix}{name}"));
    let mut rotation = default;
    if let Some(size) = given("max-size") {
        let size = sizes::decimal(size).map_err(Error::invalid)?;
        if size == 0 {
            return Err(Error::invalid("max-size must be a positive number"));
        }
        rotation.max_size = Some(size);
    }
    if let Some(files) = given("max-file") {
        let files: i64 = files.parse().map_err(|_| {
            Error::invalid(format!("strconv.Atoi: parsing \"{files}\": invalid syntax"))
        })?;
        rotation.max_files = u32::try_from(files)
            .ok()
            .filter(|files| *files > 0)
            .ok_or_else(|| Error::invalid("max-file cannot be less than 1"))?;
    }
    if let Some(compress) = given("compress") {
        rotation.compress = boolean(compress).ok_or_else(|| {
            Error::invalid(format!("strconv.ParseBool: parsing \"{compress}\": invalid syntax"))
        })?;
    }
    if rotation.compress && (rotation.max_files < 2 || rotation.max_size.is_none()) {
        return Err(Error::invalid(if default == LOCAL {
            "compression cannot be enabled when max file count is 1"
        } else {
            "compress cannot be true when max-file is less than 2 or max-size is not set"
        }));
    }
    Ok(rotation)
}

fn remote(config: &LogConfig, subject: &Subject<'_>) -> Result<RemotePlan> {
    let template = Some(option(config, "tag")).filter(|tag| !tag.is_empty()).unwrap_or("{{.ID}}");
    let tag = tag::fill(template, subject)?;
    let lossy = option(config, "mode") == "non-blocking";
    let asked = config.options.get("max-buffer-size").map(|size| sizes::binary(size));
    let asked = asked.transpose().map_err(Error::invalid)?;
    let asked = asked.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let usual = if lossy { LOSSY_BUFFER } else { BLOCKING_BUFFER };
    Ok(RemotePlan {
        target: syslog::target(config)?,
        formatter: syslog::Formatter::new(config, tag, subject.host)?,
        buffer: asked.unwrap_or(usual).clamp(1, LARGEST_BUFFER),
        lossy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_store::objects::ContainerRecord;

    fn planned(driver: &str, options: &[(&str, &str)]) -> Result<LogPlan> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = LogConfig { driver: driver.into(), options };
        let record = ContainerRecord { id: "0123456789abcdef".into(), ..Default::default() };
        plan(&config, &Subject { record: &record, host: "dev" })
    }

    #[test]
    fn json_file_keeps_one_file_unless_told_otherwise_and_local_five_compressed_ones() {
        assert_eq!(planned("", &[]).unwrap().file.unwrap().rotation, Rotation::default());
        assert_eq!(planned("local", &[]).unwrap().file.unwrap().rotation, LOCAL);
        let asked = planned("json-file", &[("max-size", "10m"), ("max-file", "3")]);
        let expected = Rotation { max_size: Some(10_000_000), max_files: 3, compress: false };
        assert_eq!(asked.unwrap().file.unwrap().rotation, expected);
    }

    #[test]
    fn values_that_mean_nothing_are_refused_in_dockers_words() {
        for (driver, options, text) in [
            ("json-file", vec![("max-size", "big")], "invalid size: 'big'"),
            ("json-file", vec![("max-size", "0")], "max-size must be a positive number"),
            ("json-file", vec![("max-file", "0")], "max-file cannot be less than 1"),
            (
                "json-file",
                vec![("compress", "true")],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
            (
                "local",
                vec![("max-file", "1")],
                "compression cannot be enabled when max file count is 1",
            ),
            ("journald", vec![], "journald is not enabled on this host"),
        ] {
            assert_eq!(planned(driver, &options).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn what_goes_elsewhere_is_kept_here_too_unless_told_otherwise() {
        let both = planned("syslog", &[("syslog-address", "udp://10.0.2.2")]).unwrap();
        assert_eq!(both.file.unwrap().rotation, LOCAL);
        let remote = both.remote.unwrap();
        assert_eq!((remote.buffer, remote.lossy), (BLOCKING_BUFFER, false));
        let options = [("cache-disabled", "true"), ("mode", "non-blocking")];
        let gone = planned("syslog", &options).unwrap();
        assert!(gone.file.is_none());
        let remote = gone.remote.unwrap();
        assert_eq!((remote.buffer, remote.lossy), (LOSSY_BUFFER, true));
    }
}
