//! A directory as docker has it, before and after.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Home {
    directory: tempfile::TempDir,
    places: Places,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let places = Places { docker_config: path("docker"), storage: path("store") };
        Self { directory, places }
    }

    fn machine(&self, name: &str, url: &str) -> Endpoint {
        let file = |kind: &str| {
            let path = self.places.storage.join("machines").join(name).join(kind);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, format!("{kind} of {name}")).unwrap();
            path
        };
        Endpoint {
            name: name.to_owned(),
            url: url.to_owned(),
            ca_certificate: file("ca"),
            client_certificate: file("cert"),
            client_key: file("key"),
            ssh: None,
        }
    }

    fn contexts(&self) -> Contexts<'_> {
        Contexts { places: &self.places }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.contexts().of_this_root().unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    /// A context that the user made.
    fn foreign(&self, name: &str) -> PathBuf {
        let path = self.contexts().meta_file(&id(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{}}}}"#))
            .unwrap();
        path
    }
}

fn good(errors: Vec<Error>) {
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn contexts_are_those_of_exactly_these_machines() {
    let home = Home::new();
    let (dev, ci) =
        (home.machine("dev", "tcp://127.0.0.1:1"), home.machine("ci", "tcp://127.0.0.1:2"));
    good(sync(&[dev.clone(), ci], &home.places));
    assert_eq!(home.names(), ["ci", "dev"]);
    let moved = Endpoint { url: "tcp://127.0.0.1:3".into(), ..dev };
    std::fs::write(&moved.client_key, "new key").unwrap();
    good(sync(std::slice::from_ref(&moved), &home.places));
    assert_eq!(home.names(), ["dev"]);
    let contexts = home.contexts();
    assert_eq!(contexts.metadata(&id("dev")).unwrap()["Endpoints"]["docker"]["Host"], moved.url);
    let key = contexts.tls(&id("dev")).join("docker/key.pem");
    assert_eq!(std::fs::read_to_string(key).unwrap(), "new key");
    assert!(!contexts.tls(&id("ci")).exists());

    good(sync(&[], &home.places));
    let left = std::fs::read_dir(contexts.contexts().join("meta")).unwrap().count();
    let keys = std::fs::read_dir(contexts.contexts().join("tls")).unwrap().count();
    assert_eq!((left, keys), (0, 0));
}

#[test]
fn keys_are_for_the_user_alone() {
    let home = Home::new();
    good(sync(&[home.machine("dev", "tcp://127.0.0.1:1")], &home.places));
    let keys = home.contexts().tls(&id("dev"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&keys), mode(&keys.join("docker"))), (0o700, 0o700));
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        assert_eq!(mode(&keys.join("docker").join(file)), 0o600, "{file}");
    }
}

#[test]
fn the_users_own_contexts_are_left_alone_and_reported() {
    let home = Home::new();
    let path = home.foreign("dev");
    let before = std::fs::read_to_string(&path).unwrap();
    let errors = sync(&[home.machine("dev", "tcp://127.0.0.1:1")], &home.places);
    assert!(matches!(errors.as_slice(), [Error::Foreign { name }] if name == "dev"));
    assert!(matches!(use_machine("dev", &home.places), Err(Error::Foreign { .. })));
    good(sync(&[], &home.places));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    assert!(!home.contexts().tls(&id("dev")).exists());
}

#[test]
fn another_storage_roots_context_is_taken_when_its_machine_is_gone() {
    let home = Home::new();
    let other = Places { storage: home.directory.path().join("other"), ..home.places.clone() };
    let dev = home.machine("dev", "tcp://127.0.0.1:1");
    good(sync(std::slice::from_ref(&dev), &home.places));
    let theirs = Endpoint { url: "tcp://127.0.0.1:9".into(), ..dev };
    let errors = sync(std::slice::from_ref(&theirs), &other);
    assert!(matches!(errors.as_slice(), [Error::Foreign { .. }]));
    let files = home.places.storage.join("machines");
    std::fs::rename(&files, home.directory.path().join("elsewhere")).unwrap();
    let moved = |path: &Path| {
        home.directory.path().join("elsewhere").join(path.strip_prefix(&files).unwrap())
    };
    let theirs = Endpoint {
        ca_certificate: moved(&theirs.ca_certificate),
        client_certificate: moved(&theirs.client_certificate),
        client_key: moved(&theirs.client_key),
        ..theirs
    };
    good(sync(&[theirs], &other));
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn a_context_is_used_only_when_asked_and_given_up_with_its_machine() {
    let home = Home::new();
    let machines =
        [home.machine("dev", "tcp://127.0.0.1:1"), home.machine("ci", "tcp://127.0.0.1:2")];
    good(sync(&machines, &home.places));
    assert_eq!(current(&home.places).unwrap(), None);
    use_machine("dev", &home.places).unwrap();
    assert_eq!(current(&home.places).unwrap().as_deref(), Some("dev"));
    good(sync(&machines[..1], &home.places));
    assert_eq!(current(&home.places).unwrap().as_deref(), Some("dev"));
    good(sync(&[], &home.places));
    assert_eq!(current(&home.places).unwrap(), None);

    home.foreign("mine");
    docker_config::set_current_context(&home.places.docker_config, Some("mine")).unwrap();
    good(sync(&machines, &home.places));
    good(sync(&[], &home.places));
    assert_eq!(current(&home.places).unwrap().as_deref(), Some("mine"));
    assert!(use_built_in(&home.places).unwrap());
    assert!(!use_built_in(&home.places).unwrap());
}

#[test]
fn an_interrupted_run_is_repaired_by_the_next() {
    let home = Home::new();
    let dev = home.machine("dev", "tcp://127.0.0.1:1");
    good(sync(std::slice::from_ref(&dev), &home.places));
    std::fs::remove_dir_all(home.contexts().tls(&id("dev"))).unwrap();
    good(sync(std::slice::from_ref(&dev), &home.places));
    assert!(home.contexts().tls(&id("dev")).join("docker/key.pem").exists());
    std::fs::remove_dir_all(home.contexts().tls(&id("dev"))).unwrap();
    good(sync(&[], &home.places));
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn names_that_docker_does_not_take_are_prefixed() {
    assert_eq!(context_name("default"), "machine-default");
    assert_eq!(context_name("a"), "machine-a");
    assert_eq!(context_name("dev"), "dev");
}
