//! Machines as files: what goes out, and what is not let in.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use machine_lifecycle::{Destination, Error, Kind, State, TransferError, UnfitDisk};

use crate::fake::FakeDriver;
use crate::setting::{Setting, named, silent};

/// A disk that has a header, some data and a large hole.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 3 << 20];
    disk[..4].copy_from_slice(b"QFI\xfb");
    disk[7] = 3;
    disk[23] = 16;
    disk[24..32].copy_from_slice(&(4_u64 << 30).to_be_bytes());
    disk[(2 << 20) + 5] = 7;
    disk
}

async fn with_disk() -> Setting {
    let setting = Setting::with_dev().await;
    std::fs::write(setting.file("dev", "disk.qcow2"), disk()).unwrap();
    setting
}

fn target(setting: &Setting) -> PathBuf {
    setting.directory.path().join("dev.machine")
}

async fn export(setting: &Setting) -> PathBuf {
    let to = target(setting);
    let machines = &setting.machines;
    machines.export(&named("dev"), Destination::New(&to), &silent()).await.unwrap();
    to
}

async fn import(setting: &Setting, file: &[u8], name: &str) -> Result<(), Error> {
    let mut file = file;
    let name = named(name);
    setting.machines.import(&mut file, Some(&name), &silent()).await.map(drop)
}

fn beside(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Entries of an archive, as somebody else could write it.
fn archive(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        let bytes = &mut header.as_old_mut().name[..name.len()];
        bytes.copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    zstd::encode_all(builder.into_inner().unwrap().as_slice(), 1).unwrap()
}

fn manifest(setting: &Setting) -> Vec<u8> {
    let tar = zstd::decode_all(std::fs::File::open(target(setting)).unwrap()).unwrap();
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut text = Vec::new();
    let mut first = archive.entries().unwrap().next().unwrap().unwrap();
    first.read_to_end(&mut text).unwrap();
    text
}

#[tokio::test]
async fn what_is_imported_has_the_disk_and_the_settings_but_keys_and_ports_of_its_own() {
    let setting = with_disk().await;
    setting.machines.stop(&named("dev")).await.unwrap();
    let file = export(&setting).await;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    import(&setting, &std::fs::read(&file).unwrap(), "copy").await.unwrap();
    assert_eq!(setting.machines.status(&named("copy")).await.unwrap(), State::Stopped);

    let copied = setting.file("copy", "disk.qcow2");
    assert!(std::fs::read(&copied).unwrap() == disk());
    assert!(copied.metadata().unwrap().blocks() * 512 < 1 << 20, "holes stay holes");
    let record = |name: &str| setting.machines.store().record(name).unwrap();
    let (old, new) = (record("dev"), record("copy"));
    assert_ne!(old.ports, new.ports);
    assert_eq!(machine_store::MachineRecord { ports: old.ports, ..new }, old);
    for key in ["key.pem", "server-key.pem", "id_ed25519", "ssh_host_ed25519_key"] {
        assert_ne!(setting.read("dev", key), setting.read("copy", key), "{key}");
    }
    setting.machines.start(&named("copy"), crate::setting::OPTIONS, &silent()).await.unwrap();
}

#[tokio::test]
async fn an_exported_file_has_no_keys_and_no_paths() {
    let setting = with_disk().await;
    let file = export(&setting).await;
    let content = zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap();
    let has = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("\"name\":\"dev\""));
    assert!(!has("PRIVATE KEY") && !has("ssh-ed25519"));
    assert!(!has(setting.directory.path().to_str().unwrap()));
}

#[tokio::test]
async fn a_running_machines_disk_is_taken_at_one_moment_and_nothing_is_left() {
    let setting = with_disk().await;
    let before = beside(&setting.file("dev", "disk.qcow2"));
    export(&setting).await;
    assert_eq!(setting.driver.calls(), ["snapshot"]);
    assert_eq!(beside(&setting.file("dev", "disk.qcow2")), before);
    assert_eq!(setting.machines.status(&named("dev")).await.unwrap(), State::Running);
}

#[tokio::test]
async fn a_file_that_is_there_is_replaced_only_when_asked_and_only_when_all_is_written() {
    let setting = with_disk().await;
    let (to, dev) = (target(&setting), named("dev"));
    std::fs::write(&to, "precious").unwrap();
    let refused = setting.machines.export(&dev, Destination::New(&to), &silent()).await;
    assert!(matches!(refused, Err(Error::FileExists { .. })));
    let failing = setting.again(FakeDriver::failing("snapshot"));
    assert!(failing.export(&dev, Destination::Replace(&to), &silent()).await.is_err());
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "precious");
    assert_eq!(beside(&to), ["dev.machine", "image", "store"]);
    setting.machines.export(&dev, Destination::Replace(&to), &silent()).await.unwrap();
    assert_ne!(std::fs::read(&to).unwrap(), b"precious");

    let mut stream = Vec::new();
    let destination = Destination::Stream(&mut stream);
    setting.machines.export(&dev, destination, &silent()).await.unwrap();
    import(&setting, &stream, "streamed").await.unwrap();
}

#[tokio::test]
async fn an_export_that_is_given_up_leaves_no_file() {
    let setting = with_disk().await;
    let (to, dev) = (target(&setting), named("dev"));
    let before = beside(&setting.file("dev", "disk.qcow2"));
    let machines = setting.again(FakeDriver::hanging("snapshot"));
    let progress = silent();
    let mut given_up = Box::pin(machines.export(&dev, Destination::New(&to), &progress));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(beside(&to), ["image", "store"]);
    assert_eq!(beside(&setting.file("dev", "disk.qcow2")), before);
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_imported_over() {
    let setting = with_disk().await;
    let file = std::fs::read(export(&setting).await).unwrap();
    let error = setting.machines.import(&mut file.as_slice(), None, &silent()).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }));
    assert_eq!(setting.machines.status(&named("dev")).await.unwrap(), State::Running);
}

#[tokio::test]
async fn a_damaged_file_leaves_nothing() {
    let setting = with_disk().await;
    let file = std::fs::read(export(&setting).await).unwrap();
    let left = setting.left();
    for length in (0..file.len()).step_by(file.len() / 40 + 1).chain([file.len() - 1]) {
        let error = import(&setting, &file[..length], "copy").await.unwrap_err();
        assert!(matches!(error, Error::Transfer(TransferError::Malformed(_))), "{length}: {error}");
    }
    let mut flipped = file.clone();
    let middle = file.len() / 2;
    flipped[middle] ^= 0x20;
    assert!(import(&setting, &flipped, "copy").await.is_err());
    let mut longer = file;
    longer.write_all(b"more").unwrap();
    assert!(import(&setting, &longer, "copy").await.is_err());
    assert!(import(&setting, b"#!/bin/sh\n", "copy").await.is_err());
    assert_eq!(setting.left(), left);
}

#[tokio::test]
async fn only_the_two_entries_are_let_in_and_only_in_their_order() {
    use tar::EntryType as Kind;
    let setting = with_disk().await;
    export(&setting).await;
    let (manifest, disk) = (manifest(&setting), disk());
    let first = ("manifest.json", Kind::Regular, manifest.as_slice());
    let second = ("disk.qcow2", Kind::Regular, disk.as_slice());
    let left = setting.left();
    import(&setting, &archive(&[first, second]), "good").await.unwrap();
    setting.machines.remove(&named("good"), machine_lifecycle::Force::No, &silent()).await.unwrap();

    let endless = "x".repeat(70_000);
    for (why, entries) in [
        ("no disk", vec![first]),
        ("the wrong order", vec![second, first]),
        ("a third entry", vec![first, second, ("more", Kind::Regular, b"x")]),
        ("a link", vec![first, ("disk.qcow2", Kind::Symlink, b"")]),
        ("a hard link", vec![first, ("disk.qcow2", Kind::Link, b"")]),
        ("a device", vec![first, ("disk.qcow2", Kind::Block, b"")]),
        ("a path", vec![first, ("../disk.qcow2", Kind::Regular, disk.as_slice())]),
        ("a long name", vec![("././@LongLink", Kind::GNULongName, endless.as_bytes()), first]),
        ("a long manifest", vec![("manifest.json", Kind::Regular, endless.as_bytes()), second]),
    ] {
        let error = import(&setting, &archive(&entries), "bad").await.unwrap_err();
        assert!(matches!(error, Error::Transfer(TransferError::Malformed(_))), "{why}: {error:?}");
        assert_eq!(setting.left(), left, "{why}");
    }
}

#[tokio::test]
async fn a_disk_that_reads_other_files_is_refused() {
    let setting = with_disk().await;
    export(&setting).await;
    let manifest = manifest(&setting);
    let left = setting.left();
    let mut backed = disk();
    backed[15] = 104;
    backed[19] = 11;
    let entries = [
        ("manifest.json", tar::EntryType::Regular, manifest.as_slice()),
        ("disk.qcow2", tar::EntryType::Regular, backed.as_slice()),
    ];
    let error = import(&setting, &archive(&entries), "bad").await.unwrap_err();
    let expected = UnfitDisk::BackingFile;
    assert!(matches!(error, Error::Transfer(TransferError::Disk(found)) if found == expected));
    assert_eq!(setting.left(), left);
    std::fs::File::options()
        .write(true)
        .open(setting.file("dev", "disk.qcow2"))
        .unwrap()
        .write_all_at(&backed[..32], 0)
        .unwrap();
    let mut nowhere = std::io::sink();
    let to = Destination::Stream(&mut nowhere);
    let out = setting.machines.export(&named("dev"), to, &silent()).await;
    assert!(matches!(out, Err(Error::Transfer(TransferError::Disk(_)))));
}

#[tokio::test]
async fn a_machine_that_is_not_possible_is_refused_and_one_too_large_is_made_smaller() {
    let setting = with_disk().await;
    export(&setting).await;
    let text = String::from_utf8(manifest(&setting)).unwrap();
    let disk = disk();
    let file = |manifest: &str| {
        archive(&[
            ("manifest.json", tar::EntryType::Regular, manifest.as_bytes()),
            ("disk.qcow2", tar::EntryType::Regular, disk.as_slice()),
        ])
    };
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        file(&text.replace(from, to))
    };
    let left = setting.left();
    for (from, to) in [
        ("\"cpus\":2", "\"cpus\":0"),
        ("\"memory_mib\":1024", "\"memory_mib\":1"),
        ("\"disk_size_mib\":20000", "\"disk_size_mib\":18446744073709551615"),
        ("\"cpus\":2", "\"cpus\":2,\"paths\":[]"),
        ("dev.example", "a b"),
        ("\"version\":1", "\"version\":9"),
        ("\"format\":\"machine\"", "\"format\":\"other\""),
    ] {
        let error = import(&setting, &changed(from, to), "bad").await.unwrap_err();
        assert!(matches!(error, Error::Transfer(_)), "{to}: {error:?}");
        assert_eq!(error.kind(), Kind::Failed);
    }
    let evil = changed("\"name\":\"dev\"", "\"name\":\"../../dev\"");
    let error = setting.machines.import(&mut evil.as_slice(), None, &silent()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidName { .. }));
    assert_eq!(setting.left(), left);

    let progress = silent();
    let large = changed("\"cpus\":2", "\"cpus\":64");
    let name = named("large");
    setting.machines.import(&mut large.as_slice(), Some(&name), &progress).await.unwrap();
    assert_eq!(setting.machines.store().record("large").unwrap().cpus, 4);
    assert_eq!(progress.0.lock().unwrap().len(), 1);
    // The disk is never made smaller than it is.
    let small = changed("\"disk_size_mib\":20000", "\"disk_size_mib\":4096");
    import(&setting, &small, "small").await.unwrap();
    assert_eq!(setting.machines.store().record("small").unwrap().disk_size_mib, 4096);
}
