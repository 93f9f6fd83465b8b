//! Every moment at which a daemon can die.

use super::*;

fn partial(text: &[u8]) -> PumpState {
    PumpState { partial: [text.to_vec(), Vec::new()] }
}

fn setup() -> (tempfile::TempDir, std::path::PathBuf, PumpMark) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mark");
    let mut mark = PumpMark::create(&path).unwrap();
    mark.clear(&partial(b"before")).unwrap();
    (folder, path, mark)
}

#[test]
fn a_chunk_that_was_not_appended_is_seen_anew_with_the_old_partial_line() {
    let (_folder, path, mut mark) = setup();
    mark.begin(&partial(b"after"), &Chunk::new(false, b"chunk", 100, 50)).unwrap();
    let (_, recovery) = PumpMark::recover(&path, 120).unwrap();
    assert_eq!(recovery.state, partial(b"before"));
    assert_eq!(recovery.truncate, Some(100));
    assert_eq!(recovery.logged, None);
}

#[test]
fn a_chunk_that_was_appended_is_known_when_it_is_seen_again() {
    let (_folder, path, mut mark) = setup();
    mark.begin(&partial(b"after"), &Chunk::new(false, b"chunk", 100, 50)).unwrap();
    let (_, recovery) = PumpMark::recover(&path, 150).unwrap();
    assert_eq!(recovery.state, partial(b"after"));
    assert_eq!(recovery.truncate, None);
    let chunk = recovery.logged.unwrap();
    assert_eq!(chunk.repeated_in(b"chunk and more"), 5);
    assert_eq!(chunk.repeated_in(b"other"), 0);
    assert_eq!(chunk.repeated_in(b"chu"), 0);
}

#[test]
fn a_chunk_that_was_consumed_and_cleared_is_over() {
    let (_folder, path, mut mark) = setup();
    mark.begin(&partial(b"after"), &Chunk::new(true, b"chunk", 100, 50)).unwrap();
    mark.clear(&partial(b"after")).unwrap();
    let (_, recovery) = PumpMark::recover(&path, 150).unwrap();
    assert_eq!(recovery, Recovery { state: partial(b"after"), ..Recovery::default() });
}

#[test]
fn a_mark_cut_short_leaves_the_one_before() {
    let (_folder, path, mut mark) = setup();
    mark.begin(&partial(b"after"), &Chunk::new(false, b"chunk", 100, 50)).unwrap();
    let bytes = encode(4, &partial(b"later"), None);
    mark.file.write_all_at(&bytes[..20], 0).unwrap();
    let (_, recovery) = PumpMark::recover(&path, 150).unwrap();
    assert_eq!(recovery.state, partial(b"after"));
    assert!(recovery.logged.is_some());
}

#[test]
fn without_a_mark_nothing_is_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let (_, recovery) = PumpMark::recover(&folder.path().join("mark"), 7).unwrap();
    assert_eq!(recovery, Recovery::default());
}

#[test]
fn a_damaged_mark_is_recovered_or_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mark");
    let mut mark = PumpMark::create(&path).unwrap();
    let state = PumpState { partial: [b"out".to_vec(), b"err".to_vec()] };
    mark.begin(&state, &Chunk::new(true, b"written", 3, 7)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    fuzz::rounds(&[whole], |bytes| {
        std::fs::write(&path, bytes).unwrap();
        drop(PumpMark::recover(&path, 10));
    });
}
