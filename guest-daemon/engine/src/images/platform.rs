//! Which of an index's images is meant.

use engine_store::objects::ImageRecord;

use crate::error::{Error, Result};
use crate::ports::{IndexEntry, Platform};

/// What `--platform` says: `linux`, `arm64`, `linux/arm/v7`. Empty parts are this machine's.
pub(super) fn parse(text: &str, own_architecture: &str) -> Result<Platform> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let fits = |part: &&str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    if parts.len() > 3 || !parts.iter().all(fits) {
        return Err(Error::invalid(format!("{text:?} is an invalid component of a platform")));
    }
    let (os, architecture, variant) = match *parts.as_slice() {
        [] => ("linux", own_architecture, ""),
        [one] if is_os(one) => (one, own_architecture, ""),
        [one] => ("linux", one, ""),
        [os, architecture] => (os, architecture, ""),
        [os, architecture, variant, ..] => (os, architecture, variant),
    };
    Ok(normal(&Platform {
        os: os.to_ascii_lowercase(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
        ..Platform::default()
    }))
}

/// What an image was made for.
pub(super) fn of(image: &ImageRecord) -> Platform {
    Platform {
        os: image.os.clone(),
        architecture: image.architecture.clone(),
        variant: image.variant.clone(),
        ..Platform::default()
    }
}

/// Those that fit, the best first. What names no platform may fit and comes last.
pub(super) fn fitting<'a>(entries: &'a [IndexEntry], wanted: &Platform) -> Vec<&'a IndexEntry> {
    let order = acceptable(wanted);
    let mut fitting: Vec<(usize, &IndexEntry)> = entries
        .iter()
        .filter_map(|entry| {
            let Some(platform) = &entry.platform else { return Some((order.len(), entry)) };
            let platform = normal(platform);
            let rank = order.iter().position(|(architecture, variant)| {
                platform.architecture == *architecture && platform.variant == *variant
            })?;
            (platform.os == wanted.os).then_some((rank, entry))
        })
        .collect();
    fitting.sort_by_key(|(rank, _)| *rank);
    fitting.into_iter().map(|(_, entry)| entry).collect()
}

/// `linux/arm/v7`, as people see it.
pub(super) fn shown(platform: &Platform) -> String {
    let variant = match (platform.architecture.as_str(), platform.variant.as_str()) {
        ("arm64", "") => "/v8".to_owned(),
        (_, "") => String::new(),
        (_, variant) => format!("/{variant}"),
    };
    format!("{}/{}{variant}", platform.os, platform.architecture)
}

/// Whether an image of one platform is what was asked for.
pub(super) fn is_same(one: &Platform, other: &Platform) -> bool {
    let (one, other) = (normal(one), normal(other));
    one.os == other.os && one.architecture == other.architecture && one.variant == other.variant
}

/// What such a machine runs: its own architecture and those it grew out of.
fn acceptable(wanted: &Platform) -> Vec<(String, String)> {
    const ARM: [&str; 4] = ["v8", "v7", "v6", "v5"];
    let pair = |architecture: &str, variant: &str| (architecture.to_owned(), variant.to_owned());
    let mut order = vec![pair(&wanted.architecture, &wanted.variant)];
    match wanted.architecture.as_str() {
        "amd64" => {
            order.push(pair("amd64", ""));
            order.push(pair("386", ""));
        }
        "arm64" => order.extend(ARM.map(|variant| pair("arm", variant))),
        "arm" => {
            let older = ARM.into_iter().skip_while(|variant| *variant != wanted.variant);
            order.extend(older.map(|variant| pair("arm", variant)));
        }
        _ => {}
    }
    order
}

fn normal(platform: &Platform) -> Platform {
    let (architecture, variant) = match platform.architecture.to_ascii_lowercase().as_str() {
        "x86_64" | "x86-64" => ("amd64".to_owned(), platform.variant.as_str()),
        "i386" => ("386".to_owned(), ""),
        "aarch64" => ("arm64".to_owned(), platform.variant.as_str()),
        "armhf" => ("arm".to_owned(), "v7"),
        "armel" => ("arm".to_owned(), "v6"),
        other => (other.to_owned(), platform.variant.as_str()),
    };
    let variant = match (architecture.as_str(), variant.to_ascii_lowercase().as_str()) {
        ("amd64", "v1") | ("arm64", "v8" | "8") => String::new(),
        ("arm", "") => "v7".to_owned(),
        ("arm", digit @ ("5" | "6" | "7" | "8")) => format!("v{digit}"),
        (_, other) => other.to_owned(),
    };
    Platform { architecture, variant, ..platform.clone() }
}

fn is_os(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "linux" | "windows" | "darwin" | "freebsd" | "netbsd" | "openbsd" | "solaris" | "wasi"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: &str) -> IndexEntry {
        let mut parts = platform.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let platform =
            Platform { os: next(), architecture: next(), variant: next(), ..Platform::default() };
        IndexEntry { platform: Some(platform), ..IndexEntry::default() }
    }

    fn chosen(entries: &[&str], wanted: &str) -> Vec<String> {
        let entries: Vec<IndexEntry> = entries.iter().map(|text| entry(text)).collect();
        let wanted = parse(wanted, "amd64").unwrap();
        let fitting = fitting(&entries, &wanted);
        fitting.iter().map(|entry| shown(entry.platform.as_ref().unwrap())).collect()
    }

    #[test]
    fn the_best_fitting_image_comes_first() {
        let all = ["linux/386", "linux/arm/v7", "linux/arm64/v8", "linux/amd64", "windows/amd64"];
        assert_eq!(chosen(&all, ""), ["linux/amd64", "linux/386"]);
        assert_eq!(chosen(&all, "linux/arm64"), ["linux/arm64/v8", "linux/arm/v7"]);
        assert_eq!(chosen(&all, "aarch64"), ["linux/arm64/v8", "linux/arm/v7"]);
        assert_eq!(chosen(&all, "linux/arm/v6"), Vec::<String>::new());
        assert_eq!(
            chosen(&["linux/arm/v5", "linux/arm/v6"], "linux/arm"),
            ["linux/arm/v6", "linux/arm/v5"]
        );
        assert_eq!(chosen(&["unknown/unknown", "linux/s390x"], ""), Vec::<String>::new());
        assert_eq!(chosen(&["linux/amd64/v3"], ""), Vec::<String>::new());
    }

    #[test]
    fn an_entry_without_a_platform_may_fit() {
        let entries = [IndexEntry::default(), entry("linux/amd64")];
        let fitting = fitting(&entries, &parse("", "amd64").unwrap());
        assert_eq!(fitting.len(), 2);
        assert!(fitting[0].platform.is_some());
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        assert!(parse("linux/a/b/c", "amd64").is_err());
        assert!(parse("li nux", "amd64").is_err());
        assert_eq!(shown(&parse("linux/x86_64/v1", "arm64").unwrap()), "linux/amd64");
    }
}
