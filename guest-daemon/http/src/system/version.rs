//! `GET /version`.

use std::collections::BTreeMap;

use engine_api::system::{Component, Platform, Version};

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::server::ServerFacts;
use crate::version::{NEWEST_TEXT, OLDEST_TEXT};

pub(crate) async fn version(call: Call) -> Result<Reply, HttpError> {
    let system = call.engine().system.info()?;
    Ok(reply::ok(&document(call.facts(), &system.kernel_version, &system.architecture)))
}

fn document(facts: &ServerFacts, kernel_version: &str, architecture: &str) -> Version {
    let arch = go_architecture(architecture);
    let details = [
        ("ApiVersion", NEWEST_TEXT),
        ("Arch", arch),
        ("BuildTime", facts.build_time.as_str()),
        ("Experimental", "false"),
        ("GitCommit", facts.git_commit.as_str()),
        ("GoVersion", facts.toolchain.as_str()),
        ("KernelVersion", kernel_version),
        ("MinAPIVersion", OLDEST_TEXT),
        ("Os", "linux"),
    ];
    let engine = Component {
        name: "Engine".to_owned(),
        version: facts.version.clone(),
        details: BTreeMap::from(details.map(|(name, value)| (name.to_owned(), value.to_owned()))),
    };
    Version {
        platform: Platform::default(),
        components: vec![engine],
        version: facts.version.clone(),
        api_version: NEWEST_TEXT.to_owned(),
        min_api_version: OLDEST_TEXT.to_owned(),
        git_commit: facts.git_commit.clone(),
        go_version: facts.toolchain.clone(),
        os: "linux".to_owned(),
        arch: arch.to_owned(),
        kernel_version: kernel_version.to_owned(),
        build_time: facts.build_time.clone(),
    }
}

/// `/version` names architectures as images do, `/info` as the kernel does.
fn go_architecture(kernel_name: &str) -> &str {
    match kernel_name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
