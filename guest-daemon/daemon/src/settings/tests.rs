//! What becomes of the engine options.

use super::*;

fn options(list: &[&str]) -> EngineOptions {
    EngineOptions { options: strings(list), ..EngineOptions::default() }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn chosen(options: &EngineOptions) -> Chosen {
    choose(options, |_| None)
}

#[test]
fn no_option_gives_no_warning() {
    assert_eq!(chosen(&EngineOptions::default()), Chosen::default());
}

#[test]
fn dockerd_s_options_take_effect_with_or_without_dashes() {
    let chosen = chosen(&options(&[
        "--debug",
        "log-opt=max-size=10m",
        "log-opt=max-file=3",
        "default-ulimit=nofile=1024:2048",
        "default-shm-size=128m",
        "dns=9.9.9.9",
        "dns-search=lan",
        "ip=0.0.0.0",
        "mtu=1400",
        "shutdown-timeout=5",
        "max-concurrent-downloads=7",
        "max-download-attempts=2",
        "no-new-privileges",
        "label=tier=ci",
        "registry-mirror=https://mirror.lan",
        "insecure-registry=reg.lan:5000",
        "signature-policy=/etc/docker/policy.json",
        "storage-driver=overlay2",
        "live-restore",
        "userland-proxy=false",
        "host-gateway-ip=10.0.2.2",
    ]));
    let settings = &chosen.settings;
    assert_eq!(settings.warnings, Vec::<String>::new());
    assert!(settings.debug);
    assert_eq!((chosen.level, chosen.mtu), (LevelFilter::DEBUG, Some(1400)));
    assert_eq!(chosen.grace_seconds, 5);
    let transfers = settings.transfers;
    assert_eq!((transfers.downloads, transfers.uploads, transfers.attempts), (7, 5, 2));
    let containers = &settings.containers;
    assert_eq!(containers.log.options["max-size"], "10m");
    assert_eq!((containers.ulimits[0].soft, containers.ulimits[0].hard), (1024, 2048));
    assert_eq!(containers.shm_size, 128 << 20);
    assert_eq!((&*containers.dns[0], &*containers.dns_search[0]), ("9.9.9.9", "lan"));
    assert_eq!(containers.publish_address, "0.0.0.0");
    assert_eq!(containers.host_gateway, Some([10, 0, 2, 2].into()));
    assert!(containers.no_new_privileges);
    assert_eq!(settings.labels, ["tier=ci"]);
    assert_eq!(settings.registries.mirrors, ["https://mirror.lan/"]);
    assert_eq!(settings.registries.signature_policy, "/etc/docker/policy.json");
    assert_eq!(settings.registries.insecure_hosts, ["reg.lan:5000"]);
}

#[test]
fn what_cannot_be_had_is_always_told() {
    for (option, reason) in [
        ("bip=10.0.0.1/24", "this engine cannot do it yet"),
        ("authorization-plugin=x", "this engine cannot do it yet"),
        ("live-restore=false", "it is always true here"),
        ("userland-proxy", "it is always false here"),
        ("host=tcp://0.0.0.0:2375", "the machine decides about it"),
        ("tlsverify", "the machine decides about it"),
        ("nonsense=1", "there is no such option"),
        ("max-concurrent-uploads=0", "it is not between 1 and 64"),
        ("host-gateway-ip=fe80::1", "it is no IPv4 address"),
        ("mtu=9", "it is not between 68 and 65535"),
        ("shutdown-timeout=600", "it is not between 0 and 12 seconds"),
        ("default-ulimit=nofile", "it is not NAME=SOFT[:HARD]"),
        ("default-ulimit=magic=1", "invalid ulimit type: magic"),
        (
            "default-ulimit=nofile=9:1",
            "ulimit soft limit must be less than or equal to hard limit: 9 > 1",
        ),
        ("dns=one.one", "it is no IP address"),
        ("dns-search=a\nnameserver 6.6.6.6", "it is not one word"),
        ("default-shm-size=big", "it is no size"),
        ("log-level=loud", "it is none of debug, info, warn, error, fatal"),
    ] {
        let warnings = chosen(&options(&[option])).settings.warnings;
        assert_eq!(warnings, [format!("--{option} is not honoured: {reason}")]);
    }
    let driver = chosen(&options(&["log-driver=gelf"])).settings;
    assert_eq!(
        driver.warnings,
        [
            "containers log as usual: error looking up logging plugin gelf: plugin \"gelf\" not found"
        ]
    );
    assert_eq!(driver.containers.log_driver(), "json-file");
    let storage = EngineOptions { storage_driver: Some("btrfs".to_owned()), ..options(&[]) };
    assert_eq!(
        chosen(&storage).settings.warnings,
        ["the storage driver btrfs is not honoured: there is only overlay2"]
    );
}

#[test]
fn registries_are_understood_as_dockerd_does() {
    let options = EngineOptions {
        insecure_registries: strings(&[
            "10.1.2.3/8",
            "http://reg.lan:5000/",
            "reg.lan:5000",
            "[::1]:5000",
            "fd00::1/8",
            "a b",
            "reg.lan/path",
            "reg.lan:0",
        ]),
        registry_mirrors: strings(&[
            "https://m.lan",
            "https://m.lan/",
            "http://10.0.0.1:5000/",
            "ftp://m.lan",
            "https://m.lan/path",
            "https://joe:secret@m.lan",
        ]),
        ..EngineOptions::default()
    };
    let settings = chosen(&options).settings;
    let registries = settings.registries;
    assert_eq!(registries.insecure_networks, ["10.0.0.0/8", "fd00::/8", "::1/128", "127.0.0.0/8"]);
    assert_eq!(registries.insecure_hosts, ["reg.lan:5000", "[::1]:5000"]);
    assert_eq!(registries.mirrors, ["https://m.lan/", "http://10.0.0.1:5000/"]);
    assert_eq!(settings.warnings.len(), 6, "{:#?}", settings.warnings);
    assert!(settings.warnings.iter().all(|warning| !warning.contains("secret")));
}

#[test]
fn labels_are_pairs_and_the_last_of_a_key_counts() {
    let options = EngineOptions {
        labels: strings(&["a=1", "b=", "a=2", "a=2", "=x", "plain"]),
        ..EngineOptions::default()
    };
    let settings = chosen(&options).settings;
    assert_eq!(settings.labels, ["b=", "a=2"]);
    assert_eq!(settings.warnings.len(), 3);
}

#[test]
fn proxies_come_from_options_or_from_the_environment() {
    let variable = |name: &str| match name {
        "HTTPS_PROXY" => Some("http://upper".to_owned()),
        "http_proxy" | "https_proxy" => Some("http://lower".to_owned()),
        _ => None,
    };
    let proxies = choose(&options(&["no-proxy=.lan"]), variable).settings.proxies;
    assert_eq!(proxies.https, "http://upper");
    assert_eq!(proxies.http, "http://lower");
    assert_eq!(proxies.not_for, ".lan");
}

#[test]
fn a_variable_that_cannot_be_set_is_told() {
    let options = EngineOptions { env: strings(&["A=1", "9=x"]), ..EngineOptions::default() };
    assert_eq!(
        chosen(&options).settings.warnings,
        ["a variable of the engine's environment is left out: \"9\" is not a variable's name"]
    );
}
