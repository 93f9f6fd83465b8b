//! The dialect, by example.

use std::collections::BTreeMap;

use engine_api::container_config::ContainerConfig;
use engine_api::host_config::HostConfig;
use engine_api::string_list::StringList;
use serde_json::json;

use super::query::Query;
use super::*;

#[test]
fn booleans_are_read_as_dockerd_does() {
    let query = query("a=1&b=true&c=True&d=0&e=false&f=no&g=none&h=&i=yes&j");
    for name in ["a", "b", "c", "i"] {
        assert!(query.flag(name), "{name}");
    }
    for name in ["d", "e", "f", "g", "h", "j", "absent"] {
        assert!(!query.flag(name), "{name}");
    }
    assert!(query.flag_or("absent", true));
    assert!(!query.flag_or("d", true));
}

#[test]
fn parameters_are_decoded() {
    let query = query("repo=docker.io%2Flibrary%2Ffoo&message=a+b%2Bc&names=a&names=b");
    assert_eq!(query.text("repo"), "docker.io/library/foo");
    assert_eq!(query.text("message"), "a b+c");
    assert_eq!(query.all("names"), ["a", "b"]);
    assert_eq!(Query::parse("a=%zz").unwrap_err().status.as_u16(), 400);
}

#[test]
fn numbers_that_are_none_are_refused() {
    let query = query("t=-1&h=80&w=wide&big=70000");
    assert_eq!(query.number::<i64>("t"), Ok(Some(-1)));
    assert_eq!(query.number::<u16>("h"), Ok(Some(80)));
    assert_eq!(query.number::<u16>("absent"), Ok(None));
    assert_eq!(query.number::<u16>("w").unwrap_err().status.as_u16(), 400);
    assert_eq!(query.number::<u16>("big").unwrap_err().status.as_u16(), 400);
}

#[test]
fn times_are_numbers_with_fractions() {
    let query = query("since=1700000000.5&until=0&bad=yesterday");
    assert_eq!(query.time("since", 0), Ok(Some(1_700_000_000_500_000_000)));
    assert_eq!(query.time("until", 0), Ok(None));
    assert_eq!(query.time("bad", 0).unwrap_err().status.as_u16(), 400);
}

#[test]
fn filters_come_in_two_forms() {
    let expected = BTreeMap::from([
        ("label".to_owned(), vec!["a=b".to_owned(), "c".to_owned()]),
        ("status".to_owned(), vec!["running".to_owned()]),
    ]);
    let lists = r#"{"label":["a=b","c"],"status":["running"]}"#;
    let maps = r#"{"label":{"a=b":true,"c":true},"status":{"running":true}}"#;
    assert_eq!(filters::parse(lists), Ok(expected.clone()));
    assert_eq!(filters::parse(maps), Ok(expected));
    assert_eq!(filters::parse(""), Ok(BTreeMap::new()));
    assert_eq!(filters::parse("{}"), Ok(BTreeMap::new()));
}

#[test]
fn malformed_filters_are_refused() {
    for text in ["{", "[]", "7", r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#] {
        assert_eq!(filters::parse(text).unwrap_err().status.as_u16(), 400, "{text}");
    }
}

#[test]
fn null_leaves_a_field_at_its_zero() {
    let config: ContainerConfig = decode(&json!({
        "Hostname": null, "Tty": null, "Env": null, "Cmd": null, "StopTimeout": null,
        "Labels": { "a": null }, "ExposedPorts": { "80/tcp": null },
    }))
    .unwrap();
    assert_eq!(config.hostname, "");
    assert!(!config.tty);
    assert_eq!(config.cmd, None);
    assert_eq!(config.labels, Some(BTreeMap::from([("a".to_owned(), String::new())])));
    assert_eq!(config.exposed_ports.unwrap().len(), 1);
    let host: HostConfig = decode(&json!({
        "Memory": null, "ConsoleSize": null, "RestartPolicy": null, "LogConfig": null,
        "PortBindings": { "80/tcp": null, "81/tcp": [{ "HostPort": "8081", "HostIp": null }] },
    }))
    .unwrap();
    assert_eq!(host.memory, 0);
    assert_eq!(host.console_size, [0, 0]);
    let ports = host.port_bindings.unwrap();
    assert_eq!(ports["80/tcp"], None);
    assert_eq!(ports["81/tcp"].as_ref().unwrap()[0].host_port, "8081");
}

#[test]
fn the_case_of_field_names_does_not_matter() {
    let config: ContainerConfig =
        decode(&json!({ "image": "a", "Image": "b", "IMAGE": "c", "workingdir": "/x" })).unwrap();
    assert_eq!(config.image, "b");
    assert_eq!(config.working_dir, "/x");
}

#[test]
fn unknown_fields_are_ignored() {
    let config: ContainerConfig =
        decode(&json!({ "Image": "a", "Novelty": { "x": [1] } })).unwrap();
    assert_eq!(config.image, "a");
}

#[test]
fn a_command_is_one_word_or_a_list() {
    let of = |cmd| decode::<ContainerConfig>(&json!({ "Cmd": cmd })).unwrap().cmd;
    assert_eq!(of(json!("true")), Some(StringList(vec!["true".to_owned()])));
    assert_eq!(of(json!(["a", "b"])), Some(StringList(vec!["a".to_owned(), "b".to_owned()])));
}

#[test]
fn a_wrong_type_is_refused() {
    for document in [
        json!({ "Tty": "yes" }),
        json!({ "Env": "A=b" }),
        json!({ "Hostname": 7 }),
        json!({ "StopTimeout": 1.5 }),
        json!([]),
    ] {
        let error = decode::<ContainerConfig>(&document).unwrap_err();
        assert_eq!(error.status.as_u16(), 400, "{document}");
        assert!(error.message.starts_with("invalid JSON: "), "{}", error.message);
    }
}

fn query(text: &str) -> Query {
    Query::parse(text).unwrap()
}
