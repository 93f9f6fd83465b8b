//! Many commands at once.

use std::collections::HashSet;

use machine_lifecycle::Kind;

use crate::fake::FakeDriver;
use crate::setting::{OPTIONS, Setting, named, silent, spec};

const MANY: usize = 20;

/// Creates machines of these names, each as another command would, all at the same time.
async fn create_at_once(setting: &Setting, names: [String; MANY]) -> Vec<Option<Kind>> {
    let tasks = names.map(|name| {
        let machines = setting.again(FakeDriver::good());
        tokio::spawn(async move {
            let created = machines.create(&named(&name), &spec(), OPTIONS, &silent()).await;
            created.err().map(|error| error.kind())
        })
    });
    let outcomes = futures::future::join_all(tasks).await;
    outcomes.into_iter().map(|outcome| outcome.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_twenty_creations_of_one_name_exactly_one_succeeds() {
    let setting = Setting::new(FakeDriver::good());
    let outcomes = create_at_once(&setting, std::array::from_fn(|_| "dev".to_owned())).await;
    assert_eq!(outcomes.iter().filter(|error| error.is_none()).count(), 1, "{outcomes:?}");
    for error in outcomes.into_iter().flatten() {
        assert!(matches!(error, Kind::Busy | Kind::Conflict), "{error:?}");
    }
    setting.machines.connect(&named("dev")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn twenty_creations_of_different_names_succeed_with_ports_of_their_own() {
    let setting = Setting::new(FakeDriver::good());
    let outcomes = create_at_once(&setting, std::array::from_fn(|n| format!("dev{n}"))).await;
    assert_eq!(outcomes, [None; MANY]);
    let names = setting.machines.names().unwrap();
    assert_eq!(names.last(), Some(&named("dev19")));
    let ports: HashSet<_> = names
        .iter()
        .map(|name| setting.machines.store().record(name.as_str()).unwrap().ports)
        .flat_map(|ports| [ports.api, ports.ssh])
        .collect();
    assert_eq!(ports.len(), 2 * MANY);
    let authorities: HashSet<_> =
        names.iter().map(|name| setting.read(name.as_str(), "ca.pem")).collect();
    assert_eq!(authorities.len(), 1);
}
