//! The guest image, and what the host has room for.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use vm_images::Image;

use super::{Finding, told};
use crate::Context;

/// What a machine has, if nothing else is asked for.
const USUAL_MEMORY_MIB: u64 = 1024;
const LEAST_MEMORY_MIB: u64 = 256;
const LEAST_DISK_MIB: u64 = 1024;
/// Below this, images of containers soon fill the disk.
const LITTLE_DISK_MIB: u64 = 8 * 1024;

pub(super) fn image(context: &Context) -> Finding {
    const CHECK: &str = "guest image";
    let layout = context.machines.store().layout();
    let verified = context
        .images
        .find()
        .and_then(|directory| Image::open(&directory).map(|image| (directory, image)))
        .and_then(|(directory, image)| {
            image.verify(&layout.image_cache()).map(|_| (directory, image))
        });
    match verified {
        Ok((directory, image)) => {
            let digest: String = image.digest().chars().take(12).collect();
            let text = format!("complete and as it was built ({}, {digest})", directory.display());
            Finding::ok(CHECK, text)
        }
        Err(error) => {
            let text = match &error {
                vm_images::Error::Missing { searched } => {
                    let searched: Vec<String> =
                        searched.iter().map(|path| path.display().to_string()).collect();
                    format!("{error} in {}", searched.join(" or "))
                }
                _ => told(&error),
            };
            Finding::fail(
                CHECK,
                text,
                "install the image again (scripts/quickstart builds it), or name its directory in \
                 MACHINE_IMAGE_DIR",
            )
        }
    }
}

pub(super) fn storage(context: &Context) -> Vec<Finding> {
    vec![directory(context), room(context)]
}

fn directory(context: &Context) -> Finding {
    const CHECK: &str = "storage";
    let root = context.machines.store().layout().root();
    let shown = root.display();
    let metadata = match root.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            return Finding::fail(CHECK, format!("{shown}: {error}"), "give --storage-path DIR");
        }
    };
    if let Err(error) = tempfile::tempfile_in(root) {
        return Finding::fail(
            CHECK,
            format!("nothing can be written to {shown}: {error}"),
            "make it writable, or give --storage-path DIR",
        );
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Finding::warn(
            CHECK,
            format!("{shown} is not this user's alone (mode {mode:o}); keys lie there"),
            format!("chown it to yourself, and chmod 700 {shown}"),
        );
    }
    Finding::ok(CHECK, format!("{shown} is writable and private"))
}

fn room(context: &Context) -> Finding {
    const CHECK: &str = "disk space";
    let fix = "remove what is not needed, or give --storage-path DIR on a larger disk";
    match context.capacity.disk_mib {
        None => Finding::warn(CHECK, "how much is free cannot be told", fix),
        Some(free) if free < LEAST_DISK_MIB => Finding::fail(
            CHECK,
            format!("only {free} MB are free: {LEAST_DISK_MIB} MB are needed"),
            fix,
        ),
        Some(free) if free < LITTLE_DISK_MIB => {
            Finding::warn(CHECK, format!("only {free} MB are free"), fix)
        }
        Some(free) => Finding::ok(CHECK, format!("{free} MB are free")),
    }
}

pub(super) fn memory(context: &Context) -> Finding {
    const CHECK: &str = "memory";
    let cpus = context.capacity.cpus;
    match context.capacity.memory_mib {
        None => Finding::ok(CHECK, format!("{cpus} CPUs; how much memory is free is not known")),
        Some(free) if free < LEAST_MEMORY_MIB => Finding::fail(
            CHECK,
            format!("only {free} MB are available: {LEAST_MEMORY_MIB} MB are needed"),
            "end other programs, or stop a machine",
        ),
        Some(free) if free < USUAL_MEMORY_MIB => Finding::warn(
            CHECK,
            format!("only {free} MB are available; a machine usually has {USUAL_MEMORY_MIB}"),
            "end other programs, or create machines with --memory 512",
        ),
        Some(free) => Finding::ok(CHECK, format!("{free} MB are available, {cpus} CPUs")),
    }
}

pub(super) fn ports() -> Finding {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    match bound {
        Ok(_) => Finding::ok("ports", "ports of 127.0.0.1 can be used"),
        Err(error) => Finding::fail(
            "ports",
            format!("no port of 127.0.0.1 can be used: {error}"),
            "bring the loopback interface up: sudo ip link set lo up",
        ),
    }
}
