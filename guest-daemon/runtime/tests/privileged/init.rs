//! A stand-in for PID 1: keeps descriptors, reaps orphans, and says how they ended.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen,
    recvmsg, sendmsg, socket_with,
};
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(crate) struct Init {
    kept: Arc<Mutex<BTreeMap<String, OwnedFd>>>,
}

impl Init {
    pub(crate) fn serve() -> Self {
        let init = Self::default();
        std::fs::create_dir_all("/run/init").unwrap();
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        bind(&listener, &SocketAddrUnix::new("/run/init/socket").unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        let this = init.clone();
        std::thread::spawn(move || {
            while let Ok(connection) = accept(&listener) {
                let this = this.clone();
                std::thread::spawn(move || this.converse(&Arc::new(connection)));
            }
        });
        init
    }

    pub(crate) fn kept(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    fn converse(&self, connection: &Arc<OwnedFd>) {
        loop {
            let mut bytes = vec![0; 65536];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC;
            let received =
                recvmsg(connection, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags);
            let Ok(received) = received else { return };
            if received.bytes == 0 {
                return;
            }
            let descriptor = ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            let request: Value = serde_json::from_slice(&bytes[..received.bytes]).unwrap();
            self.answer(connection, &request, descriptor);
        }
    }

    fn answer(&self, connection: &Arc<OwnedFd>, request: &Value, descriptor: Option<OwnedFd>) {
        let (id, body) = (&request["id"], &request["body"]);
        let mut kept = self.kept.lock().unwrap();
        if let Some(name) = body["Store"]["name"].as_str() {
            kept.insert(name.to_owned(), descriptor.unwrap());
            reply(connection, &json!({ "id": id, "body": "Done" }), &[]);
        } else if let Some(name) = body["Remove"]["name"].as_str() {
            kept.remove(name);
            reply(connection, &json!({ "id": id, "body": "Done" }), &[]);
        } else if body == "List" {
            let names: Vec<&String> = kept.keys().collect();
            let body = json!({ "Descriptors": { "names": names, "more": false } });
            let fds: Vec<&OwnedFd> = kept.values().collect();
            reply(connection, &json!({ "id": id, "body": body }), &fds);
        } else {
            let pid = i32::try_from(body["Wait"]["pid"].as_i64().unwrap()).unwrap();
            let (connection, id) = (Arc::clone(connection), id.clone());
            std::thread::spawn(move || {
                let status = match waitpid(Pid::from_raw(pid), None).unwrap() {
                    WaitStatus::Exited(_, code) => code << 8,
                    WaitStatus::Signaled(_, signal, _) => signal as i32,
                    other => panic!("{other:?}"),
                };
                let body = json!({ "Exited": { "status": status, "unix_nanos": 1 } });
                reply(&connection, &json!({ "id": id, "body": body }), &[]);
            });
        }
    }
}

fn reply(connection: &Arc<OwnedFd>, reply: &Value, descriptors: &[&OwnedFd]) {
    let bytes = serde_json::to_vec(reply).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
    if !descriptors.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    }
    sendmsg(connection, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}
