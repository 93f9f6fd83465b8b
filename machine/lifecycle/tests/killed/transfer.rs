//! Exports and imports, interrupted.

use machine_lifecycle::{Destination, Error, State};

use crate::setting::{Setting, named, silent};
use crate::victim::kill_at_every_change;
use crate::{block_on, prepared, started, turn};

async fn with_disk(state: State) -> Setting {
    let setting = prepared(state).await;
    let mut disk = vec![0; 1 << 20];
    disk[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    disk[23] = 16;
    disk[24..32].copy_from_slice(&(4_u64 << 30).to_be_bytes());
    std::fs::write(setting.file("dev", "disk.qcow2"), disk).unwrap();
    std::fs::create_dir(setting.directory.path().join("exported")).unwrap();
    setting
}

async fn export(setting: &Setting) {
    let to = setting.directory.path().join("exported/dev.machine");
    let machines = &setting.machines;
    machines.export(&named("dev"), Destination::Replace(&to), &silent()).await.unwrap();
}

#[test]
fn a_killed_export_leaves_the_old_file_or_the_new_and_the_next_one_tidies_up() {
    let _turn = turn();
    let prepare = || {
        block_on(async {
            let setting = with_disk(State::Running).await;
            export(&setting).await;
            setting
        })
    };
    kill_at_every_change("export", prepare, |setting| {
        let directory = setting.directory.path().join("exported");
        block_on(async {
            let mut file = std::fs::File::open(directory.join("dev.machine")).unwrap();
            let copy = named("copy");
            setting.machines.import(&mut file, Some(&copy), &silent()).await.unwrap();
            export(setting).await;
        });
        let left = std::fs::read_dir(&directory).unwrap().count();
        assert_eq!(left, 1);
        assert!(!setting.file("dev", ".exporting.qcow2").exists());
    });
}

#[test]
fn a_killed_import_leaves_a_machine_or_a_free_name() {
    let _turn = turn();
    let prepare = || {
        block_on(async {
            let setting = with_disk(State::Stopped).await;
            export(&setting).await;
            setting
        })
    };
    kill_at_every_change("import", prepare, |setting| {
        block_on(async {
            let path = setting.directory.path().join("exported/dev.machine");
            let mut file = std::fs::File::open(path).unwrap();
            let copy = named("copy");
            match setting.machines.import(&mut file, Some(&copy), &silent()).await {
                Ok(_) | Err(Error::AlreadyExists { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            started(&setting.machines, &copy).await;
        });
    });
}
