//! Processes after their parents, with the branches of `ps --forest`.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::ProcessEntry;

/// Deeper ones look like these: a process may have a parent more than anybody can read.
const DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branches {
    Drawn,
    Hidden,
}

/// Each process with what stands in front of its command. Those whose parents are not in the table
/// have them outside the container.
pub(super) fn grown(table: Vec<ProcessEntry>, branches: Branches) -> Vec<(String, ProcessEntry)> {
    let pids: BTreeSet<i32> = table.iter().map(|entry| entry.pid).collect();
    let mut children: BTreeMap<i32, Vec<ProcessEntry>> = BTreeMap::new();
    for entry in table {
        let parent = if pids.contains(&entry.parent) { entry.parent } else { OUTSIDE };
        children.entry(parent).or_default().push(entry);
    }
    let mut lines = Vec::new();
    let mut next = Vec::new();
    push(&mut next, children.remove(&OUTSIDE), "", 0);
    while let Some((stem, depth, is_last, entry)) = next.pop() {
        let below = if is_last { stem.clone() } else { format!("{stem}| ") };
        let below = if depth < DEPTH { below } else { stem.clone() };
        // The threads of a process stand beside each other; what they began comes once.
        push(&mut next, children.remove(&entry.pid), &below, depth + 1);
        let drawn = match branches {
            Branches::Drawn => format!("{stem}\\_ "),
            Branches::Hidden => String::new(),
        };
        lines.push((drawn, entry));
    }
    lines
}

/// The parent of those whose parent is outside.
const OUTSIDE: i32 = 0;

/// What has to be looked at next: what stands in front, how deep, whether it is its parent's last.
type Next = (String, usize, bool, ProcessEntry);

fn push(next: &mut Vec<Next>, children: Option<Vec<ProcessEntry>>, stem: &str, depth: usize) {
    let children = children.unwrap_or_default().into_iter().rev().enumerate();
    next.extend(children.map(|(at, entry)| (stem.to_owned(), depth, at == 0, entry)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(i32, i32)], branches: Branches) -> Vec<String> {
        let entry = |(pid, parent): &(i32, i32)| ProcessEntry {
            pid: *pid,
            parent: *parent,
            ..ProcessEntry::default()
        };
        let lines = grown(pairs.iter().map(entry).collect(), branches);
        lines.iter().map(|(drawn, entry)| format!("{drawn}{}", entry.pid)).collect()
    }

    #[test]
    fn children_stand_below_their_parents() {
        let pairs = [(5, 1), (6, 5), (7, 5), (8, 6), (9, 1)];
        let drawn = ["\\_ 5", "| \\_ 6", "| | \\_ 8", "| \\_ 7", "\\_ 9"];
        assert_eq!(shown(&pairs, Branches::Drawn), drawn);
        assert_eq!(shown(&pairs, Branches::Hidden), ["5", "6", "8", "7", "9"]);
    }

    #[test]
    fn a_very_deep_tree_stays_readable() {
        let pairs: Vec<(i32, i32)> =
            (1..5000).flat_map(|pid| [(pid, pid - 1), (pid + 10_000, pid - 1)]).collect();
        let lines = shown(&pairs, Branches::Drawn);
        assert_eq!(lines.len(), pairs.len());
        assert!(lines.iter().all(|line| line.len() < 4 * DEPTH));
    }
}
