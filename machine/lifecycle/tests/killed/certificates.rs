//! New certificates, interrupted.

use std::time::SystemTime;

use certs::{Problem, Purpose, check};
use machine_lifecycle::State;

use crate::reachable::{assert_reachable, client};
use crate::setting::{Setting, named};
use crate::victim::kill_at_every_change;
use crate::{block_on, prepared, started, turn};

/// A client's key and certificate are two files; between them the pair does not fit until the next
/// command has used the machine.
fn is_between_the_files(setting: &Setting) -> bool {
    let trusted = setting.read("dev", "ca.pem");
    let checked = check(&client(setting, "dev"), &trusted, Purpose::Client, SystemTime::now());
    checked == Err(Problem::KeyMismatch)
}

#[test]
fn a_machine_whose_certificates_were_being_replaced_can_be_reached() {
    let _turn = turn();
    for operation in ["regenerate", "replace the CA"] {
        kill_at_every_change(
            operation,
            || block_on(prepared(State::Running)),
            |setting| {
                let now = SystemTime::now();
                if !is_between_the_files(setting) {
                    assert_reachable(setting, "dev", now);
                }
                block_on(setting.machines.connect(&named("dev"))).unwrap();
                assert_reachable(setting, "dev", now);
                block_on(async {
                    setting.machines.stop(&named("dev")).await.unwrap();
                    // A guest that boots has what it is told then.
                    drop(std::fs::remove_file(setting.file("dev", "loaded.json")));
                    started(&setting.machines, &named("dev")).await;
                });
                assert_reachable(setting, "dev", now);
            },
        );
    }
}
