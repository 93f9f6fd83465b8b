//! `create`: what it says, and that a failure leaves nothing.

use machine_lifecycle::driver::DriverError;

use crate::User;
use crate::fake::FakeDriver;

#[tokio::test]
async fn a_machine_is_created_with_plain_progress_lines() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("machine create dev").await, @r"
    1| To see how to connect your Docker Client to the Docker Engine running on this virtual machine, run: machine env dev
    2| (dev) Running pre-create checks...
    2| (dev) Creating machine...
    2| (dev) booting the guest
    2| (dev) Docker is up and running!
    exit 0
    ");
}

#[tokio::test]
async fn names_that_are_invalid_or_taken() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("machine create de_v").await, @r"
    2| error: Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -
    2|   hint: a name begins with a letter or digit, for example: machine create dev
    exit 2
    ");
    assert_eq!(user.left(), 0);
    user.types("machine create dev").await;
    insta::assert_snapshot!(user.types("machine create dev").await, @r#"
    2| (dev) Running pre-create checks...
    2| error: Docker machine "dev" already exists
    2|   hint: choose another name, or remove it first: machine rm dev
    exit 1
    "#);
}

#[tokio::test]
async fn absurd_or_unavailable_sizes() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("machine create dev --memory 99999999").await, @r"
    2| (dev) Running pre-create checks...
    2| error: pre-create check failed: the machine is not possible on this host
    2|   because: 99999999 MB of memory are not available: 4096 MB are
    2|   hint: choose another --memory (in MB)
    exit 3
    ");
    insta::assert_snapshot!(user.types("machine create dev --memory 16").await, @r"
    2| (dev) Running pre-create checks...
    2| error: pre-create check failed: the machine is not possible on this host
    2|   because: 16 MB of memory are too little: 256 MB are needed
    2|   hint: choose another --memory (in MB)
    exit 3
    ");
    insta::assert_snapshot!(user.types("machine create dev --disk-size 999999999").await, @r"
    2| (dev) Running pre-create checks...
    2| error: pre-create check failed: the machine is not possible on this host
    2|   because: a disk of 999999999 MB is not possible: 4096 to 16777216 MB are
    2|   hint: choose another --disk-size (in MB)
    exit 3
    ");
    insta::assert_snapshot!(user.types("machine create dev --cpu-count 5").await, @r"
    2| (dev) Running pre-create checks...
    2| error: pre-create check failed: the machine is not possible on this host
    2|   because: 5 CPUs are not possible: 1 to 4 are
    2|   hint: choose another --cpu-count
    exit 3
    ");
    insta::assert_snapshot!(user.types("machine create dev --memory lots").await, @r#"
    2| error: invalid value 'lots' for '--memory <SIZE>': "lots" is not a size: write a number of MB, or a unit with it, such as 2GB or 512MB
    2| 
    2| For more information, try '--help'.
    exit 2
    "#);
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn a_disk_that_may_outgrow_the_host_is_warned_of() {
    let user = User::new(FakeDriver::good());
    let seen = user.types("machine create dev --disk-size 200000").await;
    let warning =
        "2| warning: (dev) the disk may grow to 200000 MB, but only 100000 MB are free now";
    assert!(seen.contains(warning) && seen.ends_with("exit 0"), "{seen}");
}

#[tokio::test]
async fn an_image_that_is_missing_or_damaged() {
    let user = User::new(FakeDriver::good());
    std::fs::write(user.directory.path().join("image/vmlinux"), "KERNEL").unwrap();
    insta::assert_snapshot!(user.types("machine create dev").await, @r"
    2| (dev) Running pre-create checks...
    2| error: pre-create check failed: the guest image cannot be used
    2|   because: DIR/image/vmlinux of the guest image is damaged: its sha256 is a204d4ad1de3e9b07751899e5cf4d4a3017328c41372c70fdcc8db9587bb38fb, not 6923dd1bc0460082c5d55a831908c24a282860b7f1cd6c2b79cf1bc8857c639c
    2|   hint: install the image again (scripts/quickstart builds it); it is never booted like this
    exit 3
    ");
    std::fs::remove_dir_all(user.directory.path().join("image")).unwrap();
    insta::assert_snapshot!(user.types("machine create dev").await, @r"
    2| (dev) Running pre-create checks...
    2| error: pre-create check failed: the guest image cannot be used
    2|   because: there is no guest image
    2|   hint: searched: DIR/image; build the image with scripts/quickstart, or name its directory in MACHINE_IMAGE_DIR
    exit 3
    ");
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn a_guest_that_dies_shows_its_last_words_without_control_characters() {
    let user = User::new(FakeDriver::with_start(|_| {
        Err(DriverError::Died {
            phase: "booting the guest".into(),
            reason: "QEMU exited with status 1".into(),
            console: vec!["Kernel panic\u{1b}[2J - not syncing".into()],
        })
    }));
    insta::assert_snapshot!(user.types("machine create dev").await, @r#"
    2| (dev) Running pre-create checks...
    2| (dev) Creating machine...
    2| (dev) booting the guest
    2| error: machine "dev" could not be created
    2|   because: the machine ended while booting the guest: QEMU exited with status 1
    2|   the console's last lines:
    2|     | Kernel panic[2J - not syncing
    exit 1
    "#);
    assert_eq!(user.left(), 0);
}

#[tokio::test]
async fn what_the_driver_says_decides_the_exit_code() {
    let qemu_missing = User::new(FakeDriver::with_start(|_| {
        Err(DriverError::QemuMissing { program: "qemu-system-x86_64".into() })
    }));
    insta::assert_snapshot!(qemu_missing.types("machine create dev").await, @r#"
    2| (dev) Running pre-create checks...
    2| (dev) Creating machine...
    2| (dev) booting the guest
    2| error: pre-create check failed: machine "dev" could not be created
    2|   because: qemu-system-x86_64 was not found
    2|   hint: install QEMU: apt-get install qemu-system-x86 (Debian, Ubuntu) or brew install qemu (macOS)
    exit 3
    "#);
    let slow = User::new(FakeDriver::with_start(|_| {
        Err(DriverError::Timeout { phase: "booting".into(), seconds: 5, console: Vec::new() })
    }));
    assert!(slow.types("machine create dev --timeout 5").await.ends_with("exit 6"));
    let taken = User::new(FakeDriver::with_start(|_| Err(DriverError::PortTaken { port: 99 })));
    let seen = taken.types("machine create dev").await;
    assert!(seen.contains("because: port 99 on 127.0.0.1 is taken"), "{seen}");
    assert!(seen.ends_with("exit 1"), "{seen}");
}

#[tokio::test]
async fn a_machine_that_another_command_is_creating_is_busy() {
    let user = User::new(FakeDriver::hanging("start"));
    let mut first = Box::pin(user.types("machine create dev"));
    assert!(futures::poll!(&mut first).is_pending());
    insta::assert_snapshot!(user.types("machine stop dev").await, @r#"
    2| Stopping "dev"...
    2| error: machine "dev" is busy: another command works on it
    2|   hint: wait until the other command has ended, then try again
    exit 7
    "#);
    insta::assert_snapshot!(user.types("machine kill dev").await, @r#"
    1| Machine "dev" was killed.
    2| Killing "dev"...
    exit 0
    "#);
}

#[tokio::test]
async fn a_driver_that_is_not_there() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("machine create -d virtualbox dev").await, @r#"
    2| error: Driver "virtualbox" not found
    2|   hint: leave --driver away for a machine of qemu; the other driver is none
    exit 2
    "#);
}
