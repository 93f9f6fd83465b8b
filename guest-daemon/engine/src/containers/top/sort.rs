//! In which order ps shows processes.

use super::columns::{Facts, cpu_seconds, show};
use crate::ports::ProcessEntry;

/// `rss`, or `-rss` for the largest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub key: String,
    pub descending: bool,
}

/// The first key counts most.
pub(super) fn by(table: &mut [ProcessEntry], order: &[Key], facts: &Facts) {
    // Sorting keeps the order of what is equal.
    for key in order.iter().rev() {
        if key.descending {
            table.sort_by_cached_key(|entry| std::cmp::Reverse(rank(&key.key, entry, facts)));
        } else {
            table.sort_by_cached_key(|entry| rank(&key.key, entry, facts));
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Number(i128),
    Text(String),
}

fn rank(key: &str, of: &ProcessEntry, facts: &Facts) -> Rank {
    let number = match key {
        "stime" | "start" | "lstart" | "start_time" | "bsdstart" => of.started_unix_nanos,
        "etime" | "etimes" => -of.started_unix_nanos,
        "time" | "cputime" | "bsdtime" => cpu_seconds(of, facts).into(),
        "c" | "pcpu" | "%cpu" => of.cpu_per_mille.into(),
        "pmem" | "%mem" => of.resident.into(),
        _ => {
            let text = show(key, of, facts);
            return text.parse().map_or_else(|_| Rank::Text(text), Rank::Number);
        }
    };
    Rank::Number(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_the_first_key_counts_most() {
        let entry = |pid, name: &str, resident| ProcessEntry {
            pid,
            name: name.to_owned(),
            resident,
            ..ProcessEntry::default()
        };
        let mut table = [entry(9, "b", 1024), entry(10, "a", 2048), entry(11, "b", 4096)];
        let facts = Facts { now: 0, memory: 1 << 30, cumulative: false };
        let key = |key: &str, descending| Key { key: key.to_owned(), descending };
        let mut sorted = |order: &[Key]| {
            by(&mut table, order, &facts);
            table.each_ref().map(|entry| entry.pid)
        };
        assert_eq!(sorted(&[key("pid", true)]), [11, 10, 9]);
        assert_eq!(sorted(&[key("comm", false), key("rss", false)]), [10, 9, 11]);
    }
}
