//! What is written down is read back, and mistakes are named where they are.

use machine_store::Ports;

use super::*;

fn usual() -> MachineSpec {
    MachineSpec {
        driver: DriverKind::Qemu,
        cpus: 2,
        memory_mib: 1024,
        disk_size_mib: 20_000,
        acceleration: Acceleration::Auto,
        tls_names: Vec::new(),
        engine: EngineRecord::default(),
        swarm: None,
    }
}

fn parsed(text: &str) -> MachineConfig {
    MachineConfig::from_yaml(text).unwrap()
}

fn mistake(text: &str) -> String {
    let error = MachineConfig::from_yaml(text).unwrap_err();
    std::error::Error::source(&error).unwrap().to_string()
}

fn dev() -> MachineName {
    "dev".parse().unwrap()
}

#[test]
fn what_is_not_written_down_is_as_usual() {
    for nothing in ["", "# nothing\n", "{}"] {
        assert_eq!(parsed(nothing).to_spec(usual()), Ok(usual()), "{nothing:?}");
    }
    let text = "cpus: 4\nmemory: 2GB\ndisk: 40960\nacceleration: tcg\ntls_names: [dev.example]\n\
                engine:\n  labels: [colour=red]\n";
    let spec = parsed(text).to_spec(usual()).unwrap();
    let expected = MachineSpec {
        cpus: 4,
        memory_mib: 2048,
        disk_size_mib: 40_960,
        acceleration: Acceleration::Tcg,
        tls_names: vec!["dev.example".into()],
        engine: EngineRecord { labels: vec!["colour=red".into()], ..EngineRecord::default() },
        ..usual()
    };
    assert_eq!(spec, expected);
}

#[test]
fn sizes_have_units() {
    for (text, mib) in
        [("512", 512), ("512MiB", 512), ("2 GB", 2048), ("2g", 2048), ("1TiB", 1 << 20)]
    {
        assert_eq!(text.parse(), Ok(Size(mib)), "{text}");
    }
    for bad in
        ["", "GB", "-1", "1.5GB", "2XB", "2KB", "99999999999999999999", "18446744073709551615T"]
    {
        assert!(bad.parse::<Size>().is_err(), "{bad}");
    }
    assert_eq!((Size(2048).to_string(), Size(1000).to_string()), ("2GB".into(), "1000MB".into()));
}

#[test]
fn mistakes_are_named_with_their_key_and_place() {
    let text = mistake("cpus: 2\nmemroy: 1024\n");
    assert!(text.contains("memroy") && text.contains("line 2 column 1"), "{text}");
    let text = mistake("engine:\n  label: [a=b]\n");
    assert!(text.contains("engine") && text.contains("label"), "{text}");
    assert!(text.contains("line 2 column 3"), "{text}");
    let text = mistake("cpus: 2\nmemory: lots\n");
    assert!(text.contains("memory") && text.contains("line 2"), "{text}");
    let text = mistake("cpus: two\n");
    assert!(text.contains("cpus") && text.contains("line 1"), "{text}");
}

#[test]
fn a_machine_that_is_shown_can_be_read_back_and_changes_nothing() {
    let record = MachineRecord {
        engine: EngineRecord { labels: vec!["colour=red".into()], ..EngineRecord::default() },
        tls_names: vec!["dev.example".into()],
        swarm: Some(SwarmRecord { is_master: true, ..SwarmRecord::default() }),
        ..usual().to_record(Ports { api: 23_000, ssh: 24_000 })
    };
    let text = MachineConfig::of(&dev(), &record).to_yaml().unwrap();
    assert!(text.starts_with("name: dev\ndriver: qemu\ncpus: 2\nmemory: 1GB\ndisk: 20000MB\n"));
    assert_eq!(parsed(&text).applied_to(&dev(), &record).unwrap(), record);
}

#[test]
fn what_cannot_change_later_is_refused_by_name() {
    let record = usual().to_record(Ports { api: 23_000, ssh: 24_000 });
    let refused = |text: &str| parsed(text).applied_to(&dev(), &record).unwrap_err().to_string();
    assert!(refused("name: other\n").contains("name"));
    assert!(refused("driver: none\n").contains("driver"));
    assert!(refused("url: tcp://other:2376\n").contains("url"));
    assert!(parsed("acceleration: warp\n").applied_to(&dev(), &record).is_err());
}

#[test]
fn a_driver_and_its_url_go_together() {
    let driver = |text: &str| parsed(text).to_spec(usual()).map(|spec| spec.driver);
    let elsewhere = DriverKind::None { url: "tcp://docker.example:2376".into() };
    assert_eq!(driver("driver: none\nurl: tcp://docker.example:2376\n"), Ok(elsewhere.clone()));
    assert_eq!(driver("url: tcp://docker.example:2376\n"), Ok(elsewhere));
    assert_eq!(driver("driver: qemu\n"), Ok(DriverKind::Qemu));
    assert_eq!(driver("driver: none\n"), Err(InvalidSpec::NoUrl));
    assert_eq!(driver("driver: qemu\nurl: tcp://x:1\n"), Err(InvalidSpec::NeedlessUrl));
    assert_eq!(driver("driver: virtualbox\n"), Err(InvalidSpec::Driver("virtualbox".into())));
}
