//! What well-behaved clients do not send.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::answer::Server;
use super::files::HANDLES;
use super::packet::{
    DATA, EXTENDED, Fields, HANDLE, NAME, OPEN, OPENDIR, PACKET_BYTES, Packets, READ, READDIR,
    RENAME, STATUS,
};

const READING: u32 = 1;

fn ask(server: &mut Server, kind: u8, fields: impl FnOnce(&mut Packets)) -> (u8, Vec<u8>) {
    let mut request = Packets::default();
    request.add(kind, 7, fields);
    let (answers, more) = server.answer(&mut request.0).unwrap();
    assert!(request.0.is_empty() && !more);
    let mut fields = Fields::of_packet(&answers);
    let kind = fields.byte().unwrap();
    assert_eq!(fields.number(), Ok(7));
    (kind, answers[9..].to_vec())
}

fn code((kind, content): (u8, Vec<u8>)) -> u32 {
    assert_eq!(kind, STATUS);
    u32::from_be_bytes(*content.first_chunk().unwrap())
}

fn open(server: &mut Server, path: &Path) -> (u8, Vec<u8>) {
    ask(server, OPEN, |fields| {
        fields.text(path.as_os_str().as_bytes());
        fields.number(READING);
        fields.number(0);
    })
}

#[test]
fn a_packet_that_is_too_long_ends_the_session_before_it_is_taken_in() {
    let length = u32::try_from(PACKET_BYTES + 1).unwrap();
    assert!(Server::default().answer(&mut length.to_be_bytes().to_vec()).is_err());
}

#[test]
fn half_a_packet_waits_for_the_other_half() {
    let mut whole = Packets::default();
    whole.add(EXTENDED, 1, |fields| fields.text(b"limits@openssh.com"));
    let mut server = Server::default();
    let mut half = whole.0[..10].to_vec();
    assert_eq!(server.answer(&mut half).unwrap(), (vec![], false));
    half.extend_from_slice(&whole.0[10..]);
    assert!(!server.answer(&mut half).unwrap().0.is_empty());
}

#[test]
fn fields_that_are_missing_or_unknown_are_refused_one_by_one() {
    let mut server = Server::default();
    assert_eq!(code(ask(&mut server, OPEN, |fields| fields.number(1000))), 5);
    assert_eq!(code(ask(&mut server, 99, |_| {})), 8);
    assert_eq!(code(ask(&mut server, EXTENDED, |fields| fields.text(b"brew@coffee"))), 8);
    assert_eq!(code(ask(&mut server, READ, |fields| fields.text(b"no handle"))), 2);
}

#[test]
fn open_files_are_bounded_and_their_numbers_are_not_used_again() {
    let mut server = Server::default();
    let mut handles = std::collections::HashSet::new();
    for _ in 0..HANDLES {
        let (kind, handle) = open(&mut server, Path::new("/dev/null"));
        assert_eq!(kind, HANDLE);
        handles.insert(handle[4..].to_vec());
    }
    assert_eq!(handles.len(), HANDLES);
    assert_eq!(code(open(&mut server, Path::new("/dev/null"))), 4);
    let closed = handles.iter().next().unwrap().clone();
    assert_eq!(code(ask(&mut server, super::packet::CLOSE, |fields| fields.text(&closed))), 0);
    let (kind, handle) = open(&mut server, Path::new("/dev/null"));
    assert_eq!(kind, HANDLE);
    assert!(!handles.contains(&handle[4..]));
}

#[test]
fn a_pipe_without_another_end_does_not_hold_the_session() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut server = Server::default();
    let (kind, handle) = open(&mut server, &pipe);
    assert_eq!(kind, HANDLE);
    let read = ask(&mut server, READ, |fields| {
        fields.0.extend_from_slice(&handle);
        fields.long(0);
        fields.number(10);
    });
    assert_eq!(code(read), 4);
}

#[test]
fn the_plain_rename_does_not_replace() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    std::fs::write(&one, "1").unwrap();
    std::fs::write(&two, "2").unwrap();
    let mut server = Server::default();
    let renamed = ask(&mut server, RENAME, |fields| {
        fields.text(one.as_os_str().as_bytes());
        fields.text(two.as_os_str().as_bytes());
    });
    assert_eq!(code(renamed), 4);
    assert_eq!(std::fs::read_to_string(two).unwrap(), "2");
}

#[test]
fn large_directories_come_in_parts_until_their_end() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..300 {
        std::fs::write(directory.path().join(number.to_string()), "").unwrap();
    }
    let mut server = Server::default();
    let path = directory.path().as_os_str().as_bytes();
    let (_, handle) = ask(&mut server, OPENDIR, |fields| fields.text(path));
    let mut names = 0;
    loop {
        let list = |fields: &mut Packets| fields.0.extend_from_slice(&handle);
        match ask(&mut server, READDIR, list) {
            (NAME, content) => names += u32::from_be_bytes(*content.first_chunk().unwrap()),
            end => {
                assert_eq!(code(end), 1);
                break;
            }
        }
    }
    assert_eq!(names, 302, "with . and ..");
}

#[test]
fn answers_are_sent_in_parts_when_much_is_asked_for_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, vec![1; 200_000]).unwrap();
    let mut server = Server::default();
    let (_, handle) = open(&mut server, &path);
    let mut requests = Packets::default();
    for _ in 0..10 {
        requests.add(READ, 1, |fields| {
            fields.0.extend_from_slice(&handle);
            fields.long(0);
            fields.number(200_000);
        });
    }
    let (mut rounds, mut received) = (0, 0);
    loop {
        let (answers, more) = server.answer(&mut requests.0).unwrap();
        assert_eq!(answers[4], DATA);
        assert!(answers.len() < 2 * PACKET_BYTES);
        rounds += 1;
        received += answers.len();
        if !more {
            break;
        }
    }
    assert_eq!((rounds, received), (5, 10 * 200_013));
}
