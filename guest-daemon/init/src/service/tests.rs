//! The service and its client, over a real socket.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::pipe::PipeFlags;

use super::*;
use crate::client::{Exit, InitClient};

/// A service in a thread of its own, as PID 1 would run it.
struct Running {
    path: PathBuf,
    directory: PathBuf,
    exits: mpsc::Sender<(ProcessKey, ExitRecord)>,
    wake: File,
    thread: Option<JoinHandle<Option<Ending>>>,
}

impl Running {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("init-service-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("socket");
        let mut service = Service::listen(&path).unwrap();
        let (exits, recorded) = mpsc::channel();
        let (wakeup, wake) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        let thread = std::thread::spawn(move || {
            loop {
                let found: Vec<PollFlags> = {
                    let mut interests = vec![PollFd::new(&wakeup, PollFlags::IN)];
                    interests.extend(service.interests());
                    rustix::event::poll(&mut interests, None).unwrap();
                    interests.iter().map(PollFd::revents).collect()
                };
                service.ready(&found[1..]);
                if let Some(ending) = service.ending() {
                    return Some(ending);
                }
                if found[0].contains(PollFlags::IN) {
                    rustix::io::read(&wakeup, &mut [0_u8; 64]).unwrap();
                    while let Ok((key, exit)) = recorded.try_recv() {
                        service.exited(key, exit);
                    }
                } else if found[0].contains(PollFlags::HUP) {
                    return None;
                }
            }
        });
        Running { path, directory, exits, wake: File::from(wake), thread: Some(thread) }
    }

    fn client(&self) -> InitClient {
        InitClient::connect_to(&self.path).unwrap()
    }

    fn exited(&mut self, key: ProcessKey, exit: ExitRecord) {
        self.exits.send((key, exit)).unwrap();
        self.wake.write_all(b"x").unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.wake = File::open("/dev/null").unwrap();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn own_key() -> ProcessKey {
    let pid = i32::try_from(std::process::id()).unwrap();
    ProcessKey { pid, start_time: guest_process::start_time(pid).unwrap() }
}

#[tokio::test]
async fn a_kept_descriptor_is_handed_to_a_later_client() {
    let running = Running::new("kept");
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    running.client().store("container/stdout", reader.as_fd()).await.unwrap();
    drop(reader);
    File::from(writer).write_all(b"not lost").unwrap();

    let kept = running.client().list().await.unwrap();
    assert_eq!(kept.len(), 1);
    let (name, descriptor) = kept.into_iter().next().unwrap();
    assert_eq!(name, "container/stdout");
    let mut text = String::new();
    File::from(descriptor).read_to_string(&mut text).unwrap();
    assert_eq!(text, "not lost");
}

#[tokio::test]
async fn a_removed_descriptor_is_closed_when_the_call_returns() {
    let running = Running::new("removed");
    let client = running.client();
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    client.store("stdin", writer.as_fd()).await.unwrap();
    drop(writer);
    client.remove("stdin").await.unwrap();
    let mut rest = Vec::new();
    File::from(reader).read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    assert!(client.list().await.unwrap().is_empty());
    client.remove("stdin").await.unwrap();
}

#[tokio::test]
async fn hundreds_of_descriptors_come_back_under_their_names() {
    let running = Running::new("many");
    let client = running.client();
    for number in 0..300 {
        let file = File::open(if number % 2 == 0 { "/dev/null" } else { "/dev/zero" }).unwrap();
        client.store(&format!("fd-{number:03}"), file.as_fd()).await.unwrap();
    }
    let kept = client.list().await.unwrap();
    assert_eq!(kept.len(), 300);
    for (number, (name, descriptor)) in kept.into_iter().enumerate() {
        assert_eq!(name, format!("fd-{number:03}"));
        let read = File::from(descriptor).read(&mut [0; 1]).unwrap();
        assert_eq!(read, number % 2, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_and_the_connection_goes_on() {
    let running = Running::new("name");
    let client = running.client();
    let file = File::open("/dev/null").unwrap();
    let error = client.store(&"n".repeat(256), file.as_fd()).await.unwrap_err();
    assert_eq!(error.to_string(), "a name has 1 to 255 bytes");
    client.store("n", file.as_fd()).await.unwrap();
}

#[tokio::test]
async fn an_exit_is_told_when_it_happens_and_again_to_whoever_asks_later() {
    let mut running = Running::new("exit");
    let client = running.client();
    let key = own_key();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait(key.pid, key.start_time).await }
    });
    // The wait was sent before this is answered, or will find the record.
    client.list().await.unwrap();
    running.exited(key, ExitRecord { status: 42 << 8, unix_nanos: 5 });
    let exit = Exit { status: 42 << 8, unix_nanos: 5 };
    assert_eq!(waiting.await.unwrap().unwrap(), exit);
    assert_eq!(running.client().wait(key.pid, key.start_time).await.unwrap(), exit);
}

#[tokio::test]
async fn waiting_for_a_process_that_never_was_is_not_found() {
    let running = Running::new("never");
    let key = own_key();
    let error = running.client().wait(key.pid, key.start_time + 1).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn asking_for_the_end_is_acknowledged() {
    let mut running = Running::new("end");
    running.client().power_off().await.unwrap();
    assert_eq!(running.thread.take().unwrap().join().unwrap(), Some(Ending::PowerOff));
}

#[tokio::test]
async fn every_call_fails_when_the_service_is_gone() {
    let running = Running::new("gone");
    let client = running.client();
    client.list().await.unwrap();
    let key = own_key();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait(key.pid, key.start_time).await }
    });
    drop(running);
    assert!(waiting.await.unwrap().is_err());
    assert!(client.list().await.is_err());
}
