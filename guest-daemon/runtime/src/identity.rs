//! Who a user string of an image is: a look-up in the image's own passwd and group files.
//!
//! **Invariant:** digits are never a name, so an image cannot make `1000` mean root; the files are
//! untrusted, so reading them is bounded and never leaves the image.

use std::collections::HashSet;
use std::io;
use std::os::fd::BorrowedFd;

use engine::ports::Identity;

use crate::beneath;

/// No passwd file that people write is larger.
const FILE_BYTES: u64 = 1 << 20;
const LARGEST_ID: u32 = i32::MAX.cast_unsigned();

/// Why a user cannot be found; the texts are dockerd's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    #[error("uids and gids must be in range 0-2147483647")]
    OutOfRange,
    #[error("cannot read {path} of the image")]
    Unreadable {
        path: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Finds out who `user` is: `name`, `uid`, `name:group`, `uid:gid`; empty is root.
pub(crate) fn resolve(
    root: BorrowedFd<'_>,
    user: &str,
    additional_groups: &[String],
) -> Result<Identity, IdentityError> {
    let passwd = read(root, "etc/passwd")?;
    let groups = read(root, "etc/group")?;
    resolve_in(&passwd, &groups, user, additional_groups)
}

fn read(root: BorrowedFd<'_>, path: &'static str) -> Result<String, IdentityError> {
    match beneath::read_file(root, path, FILE_BYTES) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(IdentityError::Unreadable { path, source }),
    }
}

fn resolve_in(
    passwd: &str,
    groups: &str,
    user: &str,
    additional_groups: &[String],
) -> Result<Identity, IdentityError> {
    let (name, group) = user.split_once(':').unwrap_or((user, ""));
    let wanted = if name.is_empty() { Some(0) } else { numeric(name)? };
    let account = accounts(passwd)
        .find(|account| wanted.map_or(account.name == name, |uid| account.uid == uid));
    let mut identity = match (&account, wanted) {
        (Some(account), _) => {
            let home = if account.home.is_empty() { "/" } else { account.home };
            Identity {
                uid: account.uid,
                gid: account.gid,
                groups: Vec::new(),
                home: home.to_owned(),
            }
        }
        (None, Some(uid)) => Identity { uid, gid: 0, groups: Vec::new(), home: "/".to_owned() },
        (None, None) => return Err(IdentityError::NoUser(name.to_owned())),
    };
    let mut memberships = Vec::new();
    if group.is_empty() {
        if let Some(account) = &account {
            memberships.extend(
                entries(groups)
                    .filter(|entry| entry.members.split(',').any(|member| member == account.name))
                    .map(|entry| entry.gid),
            );
        }
    } else {
        identity.gid = group_id(groups, group)?;
    }
    // The primary group is a supplementary one too: a file that denies its group must deny them.
    let mut all = vec![identity.gid];
    all.extend(memberships);
    for group in additional_groups {
        all.push(group_id(groups, group)?);
    }
    // The file may name very many.
    let mut known = HashSet::new();
    identity.groups = all.into_iter().filter(|gid| known.insert(*gid)).collect();
    Ok(identity)
}

fn group_id(groups: &str, group: &str) -> Result<u32, IdentityError> {
    match numeric(group)? {
        Some(gid) => Ok(gid),
        None => entries(groups)
            .find(|entry| entry.name == group)
            .map(|entry| entry.gid)
            .ok_or_else(|| IdentityError::NoGroup(group.to_owned())),
    }
}

/// The number that a text is, `None` if it is a name. What looks like a number but is none that
/// an id can be is an error and never a name.
fn numeric(text: &str) -> Result<Option<u32>, IdentityError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let canonical = digits.len() == text.len() && (digits == "0" || !digits.starts_with('0'));
    match digits.parse() {
        Ok(id) if canonical && id <= LARGEST_ID => Ok(Some(id)),
        _ => Err(IdentityError::OutOfRange),
    }
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// The usable lines of a passwd file; broken ones are passed over as every libc does.
fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, _, uid, gid, ..] = fields.as_slice() else { return None };
        Some(Account {
            name: usable_name(name)?,
            uid: usable_id(uid)?,
            gid: usable_id(gid)?,
            home: fields.get(5).copied().unwrap_or_default(),
        })
    })
}

struct Entry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn entries(groups: &str) -> impl Iterator<Item = Entry<'_>> {
    groups.lines().filter_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, _, gid, ..] = fields.as_slice() else { return None };
        let members = fields.get(3).copied().unwrap_or_default();
        Some(Entry { name: usable_name(name)?, gid: usable_id(gid)?, members })
    })
}

fn usable_name(name: &str) -> Option<&str> {
    (!name.is_empty() && !name.starts_with('#')).then_some(name)
}

fn usable_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id <= LARGEST_ID)
}

#[cfg(test)]
mod tests;
