//! Being told when the kernel kills for want of memory.

use std::fs::File;
use std::io;
use std::path::Path;

use tokio::io::Interest;

use crate::{cgroup, streams};

/// Waits until more than `known` processes of a group were killed, and returns how many.
pub(crate) async fn more_than(known: u64, group: &Path) -> io::Result<u64> {
    let events = File::open(group.join("memory.events"))?;
    let events = streams::register(events.into(), Interest::PRIORITY)?;
    loop {
        let mut buffer = [0; 512];
        // Reading also arms the next notification.
        let length = rustix::io::pread(events.get_ref(), &mut buffer, 0)?;
        let kills = cgroup::memory_kills(&String::from_utf8_lossy(&buffer[..length]));
        if kills > known {
            return Ok(kills);
        }
        events.ready(Interest::PRIORITY).await?.clear_ready();
    }
}
