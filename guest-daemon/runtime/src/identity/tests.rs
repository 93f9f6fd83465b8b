//! Users as people and as attackers write them.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      # a comment\n\
                      daemon:x:1:1::/usr/sbin:\n\
                      app:x:1000:1001:App:/home/app:/bin/sh\n\
                      2000:x:0:0:a name of digits:/root:/bin/sh\n\
                      broken:x:many\n\
                      huge:x:4294967295:0::/:\n\
                      nohome:x:1500:1500\n";
const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\naudio:x:63:app\nstaff:x:50:\n500:x:0:\n";

fn find(user: &str) -> Result<Identity, IdentityError> {
    resolve_in(PASSWD, GROUP, user, &[])
}

fn ids(user: &str) -> (u32, u32, Vec<u32>, String) {
    let identity = find(user).unwrap();
    (identity.uid, identity.gid, identity.groups, identity.home)
}

#[test]
fn nobody_named_is_root_with_its_groups() {
    assert_eq!(ids(""), (0, 0, vec![0, 10], "/root".into()));
}

#[test]
fn a_name_brings_its_groups_and_home() {
    assert_eq!(ids("app"), (1000, 1001, vec![1001, 10, 63], "/home/app".into()));
}

#[test]
fn a_number_is_looked_up_by_number() {
    assert_eq!(ids("1000"), (1000, 1001, vec![1001, 10, 63], "/home/app".into()));
    assert_eq!(ids("77"), (77, 0, vec![0], "/".into()), "an unknown number is itself");
    assert_eq!(ids("nohome"), (1500, 1500, vec![1500], "/".into()));
}

#[test]
fn digits_are_never_a_name() {
    assert_eq!(ids("2000"), (2000, 0, vec![0], "/".into()), "not the root of the image's making");
    assert_eq!(ids("app:500").1, 500);
}

#[test]
fn numbers_out_of_range_or_oddly_written_are_refused() {
    for user in
        ["2147483648", "4294967296", "99999999999999999999", "-1", "+5", "00", "007", "1:-1"]
    {
        assert!(matches!(find(user), Err(IdentityError::OutOfRange)), "{user}");
    }
    assert!(matches!(find("1e3"), Err(IdentityError::NoUser(_))));
    assert!(matches!(find("huge"), Err(IdentityError::NoUser(_))));
    assert!(matches!(find("broken"), Err(IdentityError::NoUser(_))));
}

#[test]
fn a_group_replaces_all_groups() {
    assert_eq!(ids("app:staff"), (1000, 50, vec![50], "/home/app".into()));
    assert_eq!(ids("1000:70"), (1000, 70, vec![70], "/home/app".into()));
    assert_eq!(ids(":50"), (0, 50, vec![50], "/root".into()));
    assert_eq!(
        find("app:nosuch").unwrap_err().to_string(),
        "unable to find group nosuch: no matching entries in group file"
    );
}

#[test]
fn an_unknown_name_is_told_in_dockerds_words() {
    assert_eq!(
        find("nosuch").unwrap_err().to_string(),
        "unable to find user nosuch: no matching entries in passwd file"
    );
}

#[test]
fn additional_groups_come_last_and_once() {
    let extra = ["63".to_owned(), "staff".to_owned(), "staff".to_owned()];
    let identity = resolve_in(PASSWD, GROUP, "app", &extra).unwrap();
    assert_eq!(identity.groups, [1001, 10, 63, 50]);
}

#[test]
fn an_image_without_files_knows_numbers_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = File::open(dir.path()).unwrap();
    assert_eq!(resolve(root.as_fd(), "5:6", &[]).unwrap().gid, 6);
    assert_eq!(resolve(root.as_fd(), "", &[]).unwrap().home, "/");
    resolve(root.as_fd(), "root", &[]).unwrap_err();
}

#[test]
fn links_stay_inside_the_image() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    fs::create_dir_all(dir.path().join("store")).unwrap();
    fs::write(dir.path().join("store/passwd"), "inside:x:7:7::/:\n").unwrap();
    symlink("/store/passwd", dir.path().join("etc/passwd")).unwrap();
    symlink("../../../../../../../etc/group", dir.path().join("etc/group")).unwrap();
    let root = File::open(dir.path()).unwrap();
    assert!(resolve(root.as_fd(), "inside", &[]).is_err(), "the group file is a loop");
    fs::remove_file(dir.path().join("etc/group")).unwrap();
    assert_eq!(resolve(root.as_fd(), "inside", &[]).unwrap().uid, 7);
}

#[test]
fn hostile_files_neither_hang_nor_fill_memory() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    let passwd = dir.path().join("etc/passwd");
    let root = File::open(dir.path()).unwrap();

    File::create(&passwd).unwrap().set_len(10 << 30).unwrap();
    assert!(matches!(
        resolve(root.as_fd(), "root", &[]),
        Err(IdentityError::Unreadable { path: "etc/passwd", .. })
    ));
    fs::remove_file(&passwd).unwrap();

    nix::unistd::mkfifo(&passwd, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(resolve(root.as_fd(), "root", &[]), Err(IdentityError::Unreadable { .. })));
    fs::remove_file(&passwd).unwrap();

    fs::create_dir(&passwd).unwrap();
    assert!(matches!(resolve(root.as_fd(), "root", &[]), Err(IdentityError::Unreadable { .. })));
}

#[test]
fn whatever_the_image_says_digits_are_never_a_name() {
    let files = "root:x:0:0:root:/root:/bin/sh\n1000:x:0:0::/:\napp:x:7:8::/home\n|\
                 root:x:0:\nextra:x:9:app,root\n|1000:extra";
    fuzz::text_rounds(&[files], |text| {
        let mut parts = text.splitn(3, '|');
        let mut part = || parts.next().unwrap_or_default();
        let (passwd, groups, user) = (part(), part(), part());
        drop(resolve_in(passwd, groups, user, &["extra".to_owned(), user.to_owned()]));
        assert_eq!(resolve_in(passwd, groups, "1000", &[]).unwrap().uid, 1000);
    });
}
