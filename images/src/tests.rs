//! An image is used whole and undamaged or not at all.

use std::path::Path;

use crate::*;

/// Writes an image; `packed` ones are only there as zstd files.
fn image(directory: &Path, packed: bool) -> Manifest {
    let file = |name: &str, content: &[u8]| {
        let entry = |name: String, bytes: &[u8]| {
            std::fs::write(directory.join(&name), bytes).unwrap();
            (name, bytes.len() as u64, digest::of_bytes(bytes))
        };
        let packed = packed.then(|| {
            let bytes = zstd::encode_all(content, 3).unwrap();
            let (name, size, sha256) = entry(format!("{name}.zst"), &bytes);
            Packed { name, size, sha256 }
        });
        let (name, size, sha256) = entry(name.to_owned(), content);
        if packed.is_some() {
            std::fs::remove_file(directory.join(&name)).unwrap();
        }
        File { name, size, sha256, packed }
    };
    let manifest = Manifest {
        version: 1,
        arch: architecture().to_owned(),
        files: FileSet {
            kernel: file("vmlinux", &[7; 300_000]),
            initramfs: file("initramfs.cpio", &[8; 500_000]),
            disk: file("disk.qcow2", &[9; 1000]),
        },
    };
    write_manifest(directory, &manifest);
    manifest
}

fn write_manifest(directory: &Path, manifest: &Manifest) {
    std::fs::write(directory.join("manifest.json"), serde_json::to_vec(manifest).unwrap()).unwrap();
}

fn verify(directory: &Path, cache: &Path) -> Result<Verified, Error> {
    Image::open(directory)?.verify(cache)
}

#[test]
fn unpacked_files_are_used_where_they_lie() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(directory.path(), false);
    let verified = verify(directory.path(), cache.path()).unwrap();
    assert_eq!(verified.kernel, directory.path().join("vmlinux"));
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn packed_files_are_unpacked_into_the_cache_once() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(directory.path(), true);
    let verified = verify(directory.path(), cache.path()).unwrap();
    assert_eq!(std::fs::read(&verified.initramfs).unwrap(), [8; 500_000]);
    std::fs::remove_file(directory.path().join("vmlinux.zst")).unwrap();
    assert_eq!(verify(directory.path(), cache.path()).unwrap(), verified);
    let names: Vec<_> = std::fs::read_dir(verified.kernel.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_damaged_file_is_refused() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(directory.path(), false);
    let mut bytes = std::fs::read(directory.path().join("initramfs.cpio")).unwrap();
    bytes[1234] ^= 1;
    std::fs::write(directory.path().join("initramfs.cpio"), bytes).unwrap();
    let error = verify(directory.path(), cache.path()).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, .. } if path.ends_with("initramfs.cpio")));
}

#[test]
fn a_damaged_packed_file_is_refused_and_leaves_nothing() {
    for damage in [0, 40] {
        let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = image(directory.path(), true);
        let path = directory.path().join("vmlinux.zst");
        let mut bytes = std::fs::read(&path).unwrap();
        let index = damage.min(bytes.len() - 1);
        bytes[index] ^= 0x55;
        std::fs::write(&path, bytes).unwrap();
        assert!(verify(directory.path(), cache.path()).is_err());
        let cached = cache.path().join(Image::open(directory.path()).unwrap().digest());
        assert!(!cached.join(manifest.files.kernel.name).exists());
    }
}

#[test]
fn a_damaged_copy_in_the_cache_is_made_again() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(directory.path(), true);
    let verified = verify(directory.path(), cache.path()).unwrap();
    std::fs::write(&verified.kernel, "rubbish").unwrap();
    verify(directory.path(), cache.path()).unwrap();
    assert_eq!(std::fs::read(&verified.kernel).unwrap(), [7; 300_000]);
}

#[test]
fn a_file_that_unpacks_to_more_than_it_should_is_refused() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut manifest = image(directory.path(), true);
    manifest.files.kernel.size -= 1;
    write_manifest(directory.path(), &manifest);
    assert!(matches!(verify(directory.path(), cache.path()), Err(Error::Damaged { .. })));
}

#[test]
fn a_missing_file_is_named() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(directory.path(), false);
    std::fs::remove_file(directory.path().join("disk.qcow2")).unwrap();
    let error = verify(directory.path(), cache.path()).unwrap_err();
    assert!(matches!(&error, Error::FileMissing { path } if path.ends_with("disk.qcow2")));
}

#[test]
fn manifests_of_other_versions_architectures_or_with_paths_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let good = image(directory.path(), false);
    let opens = |manifest: &Manifest| {
        write_manifest(directory.path(), manifest);
        Image::open(directory.path())
    };
    assert!(opens(&good).is_ok());
    assert!(matches!(opens(&Manifest { version: 2, ..good.clone() }), Err(Error::Manifest { .. })));
    let foreign = Manifest { arch: "vax".into(), ..good.clone() };
    assert!(matches!(opens(&foreign), Err(Error::Architecture { .. })));
    for name in ["../vmlinux", "/etc/passwd", "", ".hidden"] {
        let mut bad = good.clone();
        bad.files.kernel.name = name.to_owned();
        assert!(matches!(opens(&bad), Err(Error::Manifest { .. })), "{name}");
    }
    std::fs::write(directory.path().join("manifest.json"), "rubbish").unwrap();
    assert!(matches!(Image::open(directory.path()), Err(Error::Manifest { .. })));
}

#[test]
fn a_chosen_directory_wins_and_otherwise_the_surroundings_of_the_program_are_searched() {
    let root = tempfile::tempdir().unwrap();
    let executable = root.path().join("bin/machine");
    let error = Location::new(None, &executable).find().unwrap_err();
    assert!(matches!(error, Error::Missing { searched } if searched.len() == 2));

    let beside = root.path().join("bin/image").join(architecture());
    std::fs::create_dir_all(&beside).unwrap();
    image(&beside, false);
    assert_eq!(Location::new(None, &executable).find().unwrap(), beside);

    let installed = root.path().join("share/machine/image").join(architecture());
    std::fs::create_dir_all(&installed).unwrap();
    image(&installed, false);
    assert_eq!(Location::new(None, &executable).find().unwrap(), installed);

    let chosen = root.path().join("chosen");
    let error = Location::new(Some(chosen.clone()), &executable).find().unwrap_err();
    assert!(matches!(error, Error::Missing { searched } if searched == [chosen]));
}
