//! Which of an index's images is meant, and whether an image is what was asked for.

use engine_store::objects::ImageRecord;

use super::reference::Reference;
use crate::error::{Error, Result};
use crate::ports::{IndexEntry, Platform};

const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: [&str; 16] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64",
    "ppc64le", "riscv64", "s390", "s390x", "sparc64", "wasm",
];
/// The last 8.x and 9.x there is.
const ARM64_8: u32 = 9;
const ARM64_9: u32 = 5;

/// What `--platform` says: `linux`, `arm64`, `linux/arm/v7`. What is missing is this machine's.
pub(crate) fn parse(text: &str, own_architecture: &str) -> Result<Platform> {
    if text.is_empty() {
        return Ok(own(own_architecture));
    }
    let wrong = |what: String| Err(Error::invalid(format!("{what}: invalid argument")));
    if text.contains('*') {
        return wrong(format!("{text:?}: wildcards not yet supported"));
    }
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    for (place, part) in parts.iter().enumerate() {
        let (kind, form) = match place {
            0 => ("OS component", r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$"),
            _ => ("component", "^[A-Za-z0-9_.-]+$"),
        };
        if !is_component(part, place > 0) {
            let name = if place == 0 { "OSAndVersion" } else { "platform" };
            return wrong(format!(
                "{part:?} is an invalid {kind} of {text:?}: {name} specifier component must match \
                 {form:?}"
            ));
        }
    }
    match *parts.as_slice() {
        [one] if SYSTEMS.contains(&one.to_ascii_lowercase().as_str()) => {
            Ok(Platform { variant: String::new(), ..with(one, own_architecture, "") })
        }
        [one] => {
            let platform = with("linux", one, "");
            if ARCHITECTURES.contains(&platform.architecture.as_str()) {
                return Ok(platform);
            }
            wrong(format!("{text:?}: unknown operating system or architecture"))
        }
        [os, architecture] => Ok(with(os, architecture, "")),
        [os, architecture, variant] => {
            let mut platform = normal(&with(os, architecture, variant));
            if platform.architecture == "arm64" && platform.variant.is_empty() {
                "v8".clone_into(&mut platform.variant);
            }
            Ok(platform)
        }
        _ => wrong(format!("{text:?}: cannot parse platform specifier")),
    }
}

/// This machine's.
pub(crate) fn own(architecture: &str) -> Platform {
    let variant = if architecture == "arm64" { "v8" } else { "" };
    Platform { variant: variant.to_owned(), ..with("linux", architecture, "") }
}

/// What an image was made for.
pub(crate) fn of(image: &ImageRecord) -> Platform {
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
        .filter_map(|entry| match &entry.platform {
            None => Some((order.len(), entry)),
            Some(platform) => Some((rank(&order, platform)?, entry)),
        })
        .collect();
    fitting.sort_by_key(|(rank, _)| *rank);
    fitting.into_iter().map(|(_, entry)| entry).collect()
}

/// The place of the one that fits best.
pub(super) fn best(platforms: &[Platform], wanted: &Platform) -> Option<usize> {
    let order = acceptable(wanted);
    let ranked = platforms.iter().enumerate();
    let ranked = ranked.filter_map(|(place, one)| Some((rank(&order, one)?, place)));
    ranked.min().map(|(_, place)| place)
}

/// Whether an image can stand for the platform that was asked for. Many images do not say their
/// variant.
pub(crate) fn fits(has: &Platform, wanted: &Platform) -> bool {
    rank(&acceptable(wanted), has).is_some() || is_strictly(has, wanted)
}

/// The same without the older machines that would do, too.
pub(super) fn is_strictly(has: &Platform, wanted: &Platform) -> bool {
    let (normal_has, normal_wanted) = (normal(has), normal(wanted));
    let same_machine =
        normal_has.os == normal_wanted.os && normal_has.architecture == normal_wanted.architecture;
    same_machine && (has.variant.is_empty() || normal_has.variant == normal_wanted.variant)
}

/// Whether an image is for exactly that platform.
pub(super) fn is_same(one: &Platform, other: &Platform) -> bool {
    let (one, other) = (normal(one), normal(other));
    one.os == other.os && one.architecture == other.architecture && one.variant == other.variant
}

/// Refuses an image that was found under a name but is for another platform.
pub(crate) fn check(image: &ImageRecord, name: &str, wanted: &Platform) -> Result<()> {
    let has = of(image);
    // Some images do not know themselves what they are for.
    let listed = |text: &String| parse(text, "").is_ok_and(|listed| fits(&listed, wanted));
    if fits(&has, wanted) || image.listed.iter().any(listed) {
        return Ok(());
    }
    let whole = Reference::parse(name).ok().filter(|parsed| parsed.canonical() == name);
    Err(Error::not_found(format!(
        "image with reference {} was found but its platform ({}) does not match the specified \
         platform ({})",
        whole.map_or_else(|| name.to_owned(), |parsed| parsed.familiar()),
        shown(&has),
        shown(wanted)
    )))
}

/// `linux/arm/v7`, as people see it.
pub(crate) fn shown(platform: &Platform) -> String {
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    let parts: Vec<&str> =
        parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// What such a machine runs: its own architecture and those it grew out of, the best first.
fn acceptable(wanted: &Platform) -> Vec<Platform> {
    let wanted = normal(wanted);
    let mut order = vec![wanted.clone()];
    let mut add = |architecture: &str, variant: String| {
        order.push(normal(&with(&wanted.os, architecture, &variant)));
    };
    let (major, minor) = version(&wanted.variant);
    match wanted.architecture.as_str() {
        "amd64" => {
            (1..major).rev().for_each(|level| add("amd64", format!("v{level}")));
            add("386", String::new());
        }
        "arm" => (5..major).rev().for_each(|level| add("arm", format!("v{level}"))),
        "arm64" => {
            let (nine, eight) = if major == 9 {
                (Some(minor.min(ARM64_9)), (minor + 5).min(ARM64_8))
            } else {
                (None, minor.min(ARM64_8))
            };
            for minor in nine.map_or(0..0, |last| 0..last + 1).rev() {
                add("arm64", if minor == 0 { "v9".to_owned() } else { format!("v9.{minor}") });
            }
            for minor in (0..=eight).rev() {
                add("arm64", if minor == 0 { "v8".to_owned() } else { format!("v8.{minor}") });
            }
            (5..=8).rev().for_each(|level| add("arm", format!("v{level}")));
        }
        _ => {}
    }
    order
}

/// Of a variant such as `v8.2`; what does not say is the first.
fn version(variant: &str) -> (u32, u32) {
    let digits = variant.strip_prefix('v').unwrap_or_default();
    let (major, minor) = digits.split_once('.').unwrap_or((digits, ""));
    (major.parse().unwrap_or(0).min(9), minor.parse().unwrap_or(0).min(9))
}

fn rank(order: &[Platform], platform: &Platform) -> Option<usize> {
    order.iter().position(|acceptable| is_same(acceptable, platform))
}

/// With the names that images use; the variant stays as it was given, and `arm` alone is v7.
fn with(os: &str, architecture: &str, variant: &str) -> Platform {
    let given = Platform {
        os: os.to_ascii_lowercase(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
        ..Platform::default()
    };
    let mut platform = normal(&given);
    if platform.architecture == "arm" && platform.variant == "v7" {
        platform.variant.clear();
    }
    platform
}

fn normal(platform: &Platform) -> Platform {
    let variant = platform.variant.to_ascii_lowercase();
    let (architecture, variant) = match platform.architecture.to_ascii_lowercase().as_str() {
        "x86_64" | "x86-64" => ("amd64".to_owned(), variant),
        "i386" => ("386".to_owned(), String::new()),
        "aarch64" => ("arm64".to_owned(), variant),
        "armhf" => ("arm".to_owned(), "v7".to_owned()),
        "armel" => ("arm".to_owned(), "v6".to_owned()),
        other => (other.to_owned(), variant),
    };
    let variant = match (architecture.as_str(), variant.as_str()) {
        ("amd64", "v1") | ("arm64", "v8" | "8" | "v8.0") => String::new(),
        ("arm64", "9" | "9.0" | "v9.0") => "v9".to_owned(),
        ("arm", "" | "7") => "v7".to_owned(),
        ("arm", digit @ ("5" | "6" | "8")) => format!("v{digit}"),
        (_, other) => other.to_owned(),
    };
    Platform { architecture, variant, ..platform.clone() }
}

fn is_component(text: &str, dots: bool) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (dots && byte == b'.')
        })
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
        let levels = ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"];
        assert_eq!(chosen(&levels, "linux/amd64/v3"), ["linux/amd64/v2", "linux/amd64"]);
        assert_eq!(chosen(&["linux/arm64/v9", "linux/arm64"], "linux/arm64/v9.1").len(), 2);
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
        for (wrong, text) in [
            ("odd", "\"odd\": unknown operating system or architecture: invalid argument"),
            ("linux/a/b/c", "\"linux/a/b/c\": cannot parse platform specifier: invalid argument"),
            (
                "linux/",
                "\"\" is an invalid component of \"linux/\": platform specifier component must \
                 match \"^[A-Za-z0-9_.-]+$\": invalid argument",
            ),
            ("linux/*", "\"linux/*\": wildcards not yet supported: invalid argument"),
        ] {
            assert_eq!(parse(wrong, "amd64").unwrap_err().to_string(), text);
        }
        assert!(parse("li nux", "amd64").is_err());
    }

    #[test]
    fn damaged_platforms_are_understood_or_refused() {
        fuzz::text_rounds(&["linux/arm64/v8.2", "linux/amd64/v3", "armhf"], |text| {
            if let Ok(platform) = parse(text, "amd64") {
                fits(&own("arm64"), &platform);
            }
        });
    }

    #[test]
    fn a_platform_is_shown_as_it_was_asked_for() {
        for (asked, is_shown) in [
            ("linux/x86_64/v1", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("linux/arm", "linux/arm"),
            ("arm/v7", "arm/v7"),
            ("linux", "linux/arm64"),
            ("", "linux/arm64/v8"),
        ] {
            assert_eq!(shown(&parse(asked, "arm64").unwrap()), is_shown, "{asked}");
        }
    }

    #[test]
    fn an_image_that_does_not_say_its_variant_fits_every_one() {
        let image = |architecture: &str, variant: &str| with("linux", architecture, variant);
        let wanted = |text: &str| parse(text, "amd64").unwrap();
        assert!(fits(&image("arm", ""), &wanted("linux/arm/v6")));
        assert!(fits(&image("arm", "v6"), &wanted("linux/arm/v7")));
        assert!(!fits(&image("arm", "v8"), &wanted("linux/arm/v7")));
        assert!(fits(&image("386", ""), &wanted("linux/amd64")));
        assert!(!fits(&image("arm64", ""), &wanted("linux/amd64")));
    }
}
