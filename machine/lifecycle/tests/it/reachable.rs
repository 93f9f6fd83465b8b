//! Whether the daemon of a fake machine and its clients would trust each other.

use std::time::SystemTime;

use boot::{BootContract, TlsIdentity};
use certs::{Identity, Purpose, check, public_names};

use crate::setting::Setting;

/// What the daemon of a running machine has in memory.
pub(crate) fn served(setting: &Setting, name: &str) -> TlsIdentity {
    match std::fs::read_to_string(setting.file(name, "loaded.json")) {
        Ok(loaded) => serde_json::from_str(&loaded).unwrap(),
        Err(_) => {
            let contract: BootContract =
                serde_json::from_str(&setting.read(name, "boot.json")).unwrap();
            contract.tls
        }
    }
}

/// Whether a docker command and the daemon would trust each other.
pub(crate) fn assert_reachable(setting: &Setting, name: &str, now: SystemTime) {
    let served = served(setting, name);
    let server = Identity { certificate: served.certificate, private_key: served.private_key };
    let names = public_names(name, &["dev.example".to_owned()]);
    let trusted = setting.read(name, "ca.pem");
    check(&server, &trusted, Purpose::Server { names: &names }, now).unwrap();
    check(&client(setting, name), &served.ca_certificate, Purpose::Client, now).unwrap();
}

pub(crate) fn client(setting: &Setting, name: &str) -> Identity {
    Identity {
        certificate: setting.read(name, "cert.pem"),
        private_key: setting.read(name, "key.pem"),
    }
}
