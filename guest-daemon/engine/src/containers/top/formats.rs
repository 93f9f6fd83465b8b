//! The formats of ps that have a letter: which columns they have, and what other letters change.

const PLAIN: &[&str] = &["pid", "tname", "time", "ucmd"];
const FULL: &[&str] = &["UID", "pid", "ppid", "c", "stime", "tname", "time", "cmd"];
const EXTRA_FULL: &[&str] =
    &["UID", "pid", "ppid", "c", "sz", "rss", "psr", "stime", "tname", "time", "cmd"];
const LONG: &[&str] = &[
    "f", "s", "uid", "pid", "ppid", "c", "opri", "ni", "addr", "sz", "wchan", "tname", "time",
    "ucmd",
];
const FULL_LONG: &[&str] = &[
    "f", "s", "UID", "pid", "ppid", "c", "opri", "ni", "addr", "sz", "wchan", "stime", "tname",
    "time", "cmd",
];
const JOBS: &[&str] = &["pid", "pgid", "sid", "tname", "time", "ucmd"];
const BSD: &[&str] = &["pid", "tname", "stat", "bsdtime", "args"];
const BSD_USER: &[&str] =
    &["user", "pid", "%cpu", "%mem", "vsz", "rss", "tname", "stat", "bsdstart", "bsdtime", "args"];
const BSD_LONG: &[&str] = &[
    "f", "uid", "pid", "ppid", "priority", "ni", "vsz", "rss", "wchan", "stat", "tname", "bsdtime",
    "args",
];
const BSD_JOBS: &[&str] =
    &["ppid", "pgid", "sid", "pid", "tname", "tpgid", "stat", "uid", "bsdtime", "args"];

/// The columns for these letters, those of the BSD style apart.
pub(super) fn usual(letters: &[char], bsd_letters: &[char]) -> Vec<&'static str> {
    let has = |letter| letters.contains(&letter);
    let bsd = |letter| bsd_letters.contains(&letter);
    let keys = match () {
        () if has('f') && has('l') => FULL_LONG,
        () if has('F') => EXTRA_FULL,
        () if has('f') => FULL,
        () if has('l') => LONG,
        () if has('j') => JOBS,
        () if bsd('u') => BSD_USER,
        () if bsd('l') => BSD_LONG,
        () if bsd('j') => BSD_JOBS,
        () if !bsd_letters.is_empty() => BSD,
        () => PLAIN,
    };
    let mut keys = keys.to_vec();
    if has('j') && (has('f') || has('l')) {
        insert_before(&mut keys, "c", &["pgid", "sid"]);
    }
    let after = |keys: &[&str], key| keys.iter().position(|it| *it == key).map(|at| at + 1);
    if has('L') {
        let at = after(&keys, "ppid").or_else(|| after(&keys, "pid")).unwrap_or_default();
        keys.insert(at, "lwp");
        if let Some(at) = after(&keys, "c").filter(|_| has('f')) {
            keys.insert(at, "nlwp");
        }
    }
    if has('T') {
        keys.insert(after(&keys, "pid").unwrap_or_default(), "spid");
    }
    if has('y') {
        keys.retain(|key| *key != "f");
        keys.iter_mut().filter(|key| **key == "addr").for_each(|key| *key = "rss");
    }
    if has('P') {
        keys.retain(|key| *key != "psr");
        insert_before(&mut keys, "c", &["psr"]);
    }
    if has('c') {
        // The number of threads stays with the processor use, which this replaces.
        let place = after(&keys, "nlwp").and_then(|at| keys.get(at).copied()).unwrap_or("c");
        insert_before(&mut keys, place, &["cls", "pri"]);
        keys.retain(|key| !matches!(*key, "c" | "opri" | "ni"));
    }
    if bsd('c') {
        keys.iter_mut().filter(|key| **key == "args").for_each(|key| *key = "ucomm");
    }
    if has('Z') || has('M') || bsd('Z') {
        keys.insert(0, "label");
    }
    keys
}

/// Before a column, or where there is none like it, before the terminal.
fn insert_before(keys: &mut Vec<&str>, before: &str, new: &[&'static str]) {
    let found = keys.iter().position(|key| *key == before);
    let at = found.or_else(|| keys.iter().position(|key| *key == "tname")).unwrap_or(keys.len());
    keys.splice(at..at, new.iter().copied());
}
