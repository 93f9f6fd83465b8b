//! The formats of ps: which columns they have, and what the letters of others change in them.

/// Of the BSD style, by their letters.
const BSD: [(char, &[&str]); 6] = [
    (
        'u',
        &[
            "user", "pid", "%cpu", "%mem", "vsz", "rss", "tname", "stat", "bsdstart", "bsdtime",
            "args",
        ],
    ),
    (
        'l',
        &[
            "f", "uid", "pid", "ppid", "priority", "ni", "vsz", "rss", "wchan", "stat", "tname",
            "bsdtime", "args",
        ],
    ),
    ('j', &["ppid", "pid", "pgid", "sid", "tname", "tpgid", "stat", "uid", "bsdtime", "args"]),
    ('v', &["pid", "tname", "stat", "bsdtime", "maj_flt", "trs", "drs", "rss", "%mem", "args"]),
    (
        's',
        &[
            "uid", "pid", "pending", "blocked", "ignored", "caught", "stat", "tname", "bsdtime",
            "args",
        ],
    ),
    ('X', &["pid", "stackp", "esp", "eip", "tmout", "alarm", "stat", "tname", "bsdtime", "args"]),
];

const CONTEXT: &[&str] = &["pid", "context", "command"];

/// What the arguments say about the format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letters<'a> {
    /// After a dash.
    pub own: &'a [char],
    pub bsd: &'a [char],
    /// Whether any argument had no dash, be it with letters that are no format's.
    pub has_bsd: bool,
    pub context: bool,
}

impl Letters<'_> {
    fn has(&self, letter: char) -> bool {
        self.own.contains(&letter)
    }

    /// How many formats were asked for that cannot be had together with others.
    pub(super) fn exclusive(&self) -> usize {
        let bsd = BSD.iter().filter(|(letter, _)| self.bsd.contains(letter)).count();
        bsd + usize::from(self.context)
    }
}

/// The columns for these letters.
pub(super) fn usual(letters: Letters<'_>) -> Vec<&'static str> {
    let bsd = BSD.iter().find(|(letter, _)| letters.bsd.contains(letter));
    match bsd {
        // The other style wins.
        _ if ['f', 'F', 'l'].into_iter().any(|letter| letters.has(letter)) => composed(letters),
        _ if letters.context => changed(CONTEXT, letters),
        Some((_, columns)) => changed(columns, letters),
        None => composed(letters),
    }
}

/// The formats with a dash, and the one without a letter, are put together from what was asked for.
fn composed(letters: Letters<'_>) -> Vec<&'static str> {
    let has = |letter| letters.has(letter);
    let (full, long) = (has('f') || has('F'), has('l'));
    let labelled = has('Z') || has('M') || letters.bsd.contains(&'Z');
    let command = match (letters.has_bsd, full, long) {
        (true, false, false) => "args",
        (false, false, _) => "ucmd",
        _ => "cmd",
    };
    let parts: [(bool, &[&str]); 25] = [
        (labelled, &["label"]),
        (long && !has('y'), &["f"]),
        (long, &["s"]),
        (full, &["UID"]),
        (long && !full, &["uid"]),
        (true, &["pid"]),
        (has('T'), &["spid"]),
        (full || long, &["ppid"]),
        (has('j'), &["pgid", "sid"]),
        (has('L'), &["lwp"]),
        (has('P'), &["psr"]),
        ((full || long) && !has('c'), &["c"]),
        (has('L') && full, &["nlwp"]),
        (has('c'), &["cls", "pri"]),
        (long && !has('c'), &["opri", "ni"]),
        (long, &[if has('y') { "rss" } else { "addr" }]),
        (has('F') || long, &["sz"]),
        (long, &["wchan"]),
        (has('F') && !(long && has('y')), &["rss"]),
        (has('F') && !has('P'), &["psr"]),
        (full, &["stime"]),
        (true, &["tname"]),
        (letters.has_bsd && !long, &["stat"]),
        (true, &[if letters.has_bsd { "bsdtime" } else { "time" }]),
        (true, &[command]),
    ];
    let wanted = parts.into_iter().filter(|(wanted, _)| *wanted);
    wanted.flat_map(|(_, keys)| keys.iter().copied()).collect()
}

/// A fixed format, with what other letters add to it and take away.
fn changed(format: &[&'static str], letters: Letters<'_>) -> Vec<&'static str> {
    let has = |letter| letters.has(letter);
    let mut keys = format.to_vec();
    if has('j') {
        insert_after(&mut keys, &["ppid", "pid"], &["pgid", "sid"]);
    }
    if has('c') {
        insert_after(&mut keys, &["priority"], &["cls", "pri"]);
        keys.retain(|key| !matches!(*key, "%cpu" | "ni" | "priority"));
    }
    if has('T') {
        insert_after(&mut keys, &["pid"], &["spid"]);
    }
    if has('L') {
        insert_after(&mut keys, &["sid", "pgid", "ppid", "pid"], &["lwp"]);
        insert_after(&mut keys, &["%cpu"], &["nlwp"]);
    }
    if has('Z') || has('M') || letters.bsd.contains(&'Z') {
        keys.insert(0, "label");
    }
    keys
}

/// After the first of these that there is.
fn insert_after(keys: &mut Vec<&str>, places: &[&str], new: &[&'static str]) {
    let found = places.iter().find_map(|place| keys.iter().position(|key| key == place));
    if let Some(at) = found {
        keys.splice(at + 1..=at, new.iter().copied());
    }
}
