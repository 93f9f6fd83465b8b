//! What is remembered of processes that have ended.

use std::collections::{HashMap, HashSet, VecDeque};

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProcessKey {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
}

/// How and when one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitRecord {
    pub(crate) status: i32,
    pub(crate) unix_nanos: i64,
}

/// The last exits of processes that somebody has asked for, and, separately, of all others: a
/// storm of short-lived processes must not displace the exit of a container.
#[derive(Debug)]
pub(crate) struct Exits {
    records: HashMap<ProcessKey, ExitRecord>,
    asked: HashSet<ProcessKey>,
    asked_order: VecDeque<ProcessKey>,
    other_order: VecDeque<ProcessKey>,
    capacity: usize,
}

impl Exits {
    /// Keeps as many of either sort.
    pub(crate) fn new(capacity: usize) -> Self {
        Exits {
            records: HashMap::new(),
            asked: HashSet::new(),
            asked_order: VecDeque::new(),
            other_order: VecDeque::new(),
            capacity,
        }
    }

    pub(crate) fn get(&self, key: ProcessKey) -> Option<ExitRecord> {
        self.records.get(&key).copied()
    }

    /// Somebody wants to know how this one, which still runs, will end.
    pub(crate) fn expect(&mut self, key: ProcessKey) {
        self.asked.insert(key);
    }

    pub(crate) fn record(&mut self, key: ProcessKey, exit: ExitRecord) {
        let order =
            if self.asked.remove(&key) { &mut self.asked_order } else { &mut self.other_order };
        if self.records.insert(key, exit).is_none() {
            order.push_back(key);
        }
        if order.len() > self.capacity
            && let Some(oldest) = order.pop_front()
        {
            self.records.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: i32) -> ProcessKey {
        ProcessKey { pid, start_time: 1 }
    }

    const EXIT: ExitRecord = ExitRecord { status: 256, unix_nanos: 7 };

    #[test]
    fn an_exit_nobody_asked_for_yet_is_kept() {
        let mut exits = Exits::new(2);
        exits.record(key(1), EXIT);
        assert_eq!(exits.get(key(1)), Some(EXIT));
        assert_eq!(exits.get(ProcessKey { pid: 1, start_time: 2 }), None);
    }

    #[test]
    fn the_oldest_exits_go_when_there_are_too_many() {
        let mut exits = Exits::new(2);
        (1..=3).for_each(|pid| exits.record(key(pid), EXIT));
        assert_eq!(exits.get(key(1)), None);
        assert_eq!(exits.get(key(2)), Some(EXIT));
        assert_eq!(exits.records.len(), 2);
    }

    #[test]
    fn a_storm_of_others_does_not_displace_an_exit_that_was_asked_for() {
        let mut exits = Exits::new(2);
        exits.expect(key(1));
        exits.record(key(1), EXIT);
        (2..=100).for_each(|pid| exits.record(key(pid), EXIT));
        assert_eq!(exits.get(key(1)), Some(EXIT));
    }
}
