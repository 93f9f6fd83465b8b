//! docker-py's own tests, against the engine that DOCKER_HOST names, beside the list of those that
//! pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use regex::Regex;

use crate::program::{script, workspace};

/// The files of its tests that need nothing from outside.
const FILES: &[&str] = &[
    "api_client_test",
    "api_container_test",
    "api_exec_test",
    "api_healthcheck_test",
    "api_image_test",
    "api_volume_test",
    "client_test",
    "errors_test",
    "models_containers_test",
    "models_images_test",
    "models_resources_test",
    "models_volumes_test",
    "regression_test",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Passes,
    Fails,
    /// docker-py itself does not count on it.
    Skipped,
    /// It asserts an order that no engine promises: one of a few tries must pass.
    Races,
}

/// For a test that races.
const TRIES: usize = 3;

/// Runs them; fails for every test whose outcome is not the listed one.
pub(crate) fn run() -> Result<()> {
    let listed = parse_list(include_str!("../docker-py/tests.txt"))?;
    let source = script("fetch-docker-py", &[])?;
    let files: Vec<String> = FILES.iter().map(|file| format!("{file}.py")).collect();
    let (mut text, mut seen) = pytest(&source, &files)?;
    for _ in 1..TRIES {
        let again = lost_races(&listed, &seen);
        if again.is_empty() {
            break;
        }
        let (more, now) = pytest(&source, &again)?;
        text += &more;
        seen.extend(now);
    }
    for name in better(&listed, &seen) {
        report(&name);
    }
    let surprises = surprises(&listed, &seen);
    ensure!(surprises.is_empty(), "{}\n\n{text}", surprises.join("\n"));
    Ok(())
}

/// Runs files or single tests; returns what it prints and how they ended.
fn pytest(source: &Path, tests: &[String]) -> Result<(String, BTreeMap<String, Outcome>)> {
    // Their one import of paramiko is for the type of an SSH channel.
    let stub = workspace().join("guest-daemon/conformance/docker-py/stub");
    let output = Command::new(source.with_file_name("python").join("bin/python"))
        .args(["-m", "pytest", "-p", "no:cacheprovider", "--timeout", "100", "-v", "--color", "no"])
        .args(tests.iter().map(|test| format!("tests/integration/{test}")))
        .current_dir(source)
        .env("PYTHONPATH", stub)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Python's requests would take these before the certificates that its user names.
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE")
        .output()
        .context("starting pytest")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = parse_report(&text);
    ensure!(!seen.is_empty(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok((text, seen))
}

/// Tests that race and did not pass.
fn lost_races(listed: &BTreeMap<String, Outcome>, seen: &BTreeMap<String, Outcome>) -> Vec<String> {
    let lost = |name: &String| seen.get(name).is_some_and(|seen| *seen != Outcome::Passes);
    let races = listed.iter().filter(|(_, outcome)| **outcome == Outcome::Races);
    races.map(|(name, _)| name).filter(|name| lost(name)).cloned().collect()
}

#[expect(clippy::print_stderr, reason = "for whoever keeps the list")]
fn report(name: &str) {
    eprintln!("listed as failing, but passes: {name}");
}

/// Lines of an outcome and a test. The words above a test that fails say why.
fn parse_list(text: &str) -> Result<BTreeMap<String, Outcome>> {
    let mut listed = BTreeMap::new();
    let mut explained = false;
    for line in text.lines() {
        let (word, test) = line.split_once(' ').unwrap_or((line, ""));
        let outcome = match word {
            "pass" => Outcome::Passes,
            "fail" => Outcome::Fails,
            "skip" => Outcome::Skipped,
            "race" => Outcome::Races,
            _ => {
                explained = line.starts_with('#');
                continue;
            }
        };
        let needs_none = matches!(outcome, Outcome::Passes | Outcome::Skipped);
        ensure!(explained || needs_none, "no reason why this fails: {test}");
        listed.insert(test.to_owned(), outcome);
    }
    Ok(listed)
}

/// The lines of `pytest -v`.
fn parse_report(text: &str) -> BTreeMap<String, Outcome> {
    let Ok(line) = Regex::new(r"(?m)^tests/integration/(\S+) ([A-Z]+)") else {
        return BTreeMap::new();
    };
    let mut seen = BTreeMap::new();
    for found in line.captures_iter(text) {
        let outcome = match &found[2] {
            "PASSED" => Outcome::Passes,
            "SKIPPED" | "XFAIL" | "XPASS" => Outcome::Skipped,
            _ => Outcome::Fails,
        };
        // A failure while tidying up comes as a second line of the same test.
        let worst = seen.entry(found[1].to_owned()).or_insert(outcome);
        if outcome == Outcome::Fails {
            *worst = outcome;
        }
    }
    seen
}

/// What is not as listed, except for tests that pass although they are listed as failing.
fn surprises(listed: &BTreeMap<String, Outcome>, seen: &BTreeMap<String, Outcome>) -> Vec<String> {
    let names: BTreeSet<&String> = listed.keys().chain(seen.keys()).collect();
    let differs = |name: &&String| match (listed.get(*name), seen.get(*name)) {
        (Some(Outcome::Fails | Outcome::Races), Some(Outcome::Passes)) => false,
        (listed, seen) => listed != seen,
    };
    let show = |outcome: Option<&Outcome>| {
        outcome.map_or("not there".to_owned(), |outcome| format!("{outcome:?}"))
    };
    names
        .into_iter()
        .filter(differs)
        .map(|name| {
            format!("{name}: listed {}, now {}", show(listed.get(name)), show(seen.get(name)))
        })
        .collect()
}

/// Tests that pass and could be listed so.
fn better(listed: &BTreeMap<String, Outcome>, seen: &BTreeMap<String, Outcome>) -> Vec<String> {
    let passes = |name: &&String| seen.get(*name) == Some(&Outcome::Passes);
    let fails = listed.iter().filter(|(_, outcome)| **outcome == Outcome::Fails);
    fails.map(|(name, _)| name).filter(passes).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{better, lost_races, parse_list, parse_report, surprises};

    #[test]
    fn a_test_that_does_not_do_what_the_list_says_is_a_surprise() {
        let listed = parse_list("pass a.py::T::one\n\n# because\nfail a.py::T::two\n").unwrap();
        let report = "tests/integration/a.py::T::one FAILED [ 1%]\n\
                      tests/integration/a.py::T::two PASSED [ 2%]\n";
        let seen = parse_report(report);
        assert_eq!(surprises(&listed, &seen), ["a.py::T::one: listed Passes, now Fails"]);
        assert_eq!(better(&listed, &seen), ["a.py::T::two"]);
        assert!(parse_list("fail a.py::T::two\n").is_err());
    }

    #[test]
    fn a_test_that_races_is_tried_again_and_must_pass_once() {
        let listed = parse_list("# why\nrace a.py::T::one\nrace a.py::T::two\n").unwrap();
        let report = "tests/integration/a.py::T::one FAILED [ 1%]\n\
                      tests/integration/a.py::T::two PASSED [ 2%]\n";
        let mut seen = parse_report(report);
        assert_eq!(lost_races(&listed, &seen), ["a.py::T::one"]);
        assert_eq!(surprises(&listed, &seen), ["a.py::T::one: listed Races, now Fails"]);
        seen.extend(parse_report("tests/integration/a.py::T::one PASSED [100%]\n"));
        assert!(lost_races(&listed, &seen).is_empty() && surprises(&listed, &seen).is_empty());
        assert!(parse_list("race a.py::T::one\n").is_err(), "without a reason");
    }
}
